"""The small templates of tests/data/templates/language.jsonl: what of Jinja each feature, filter, test and method does.

make_template_goldens.py renders them with the variables below.
"""

import random

VARIABLES = {
    "s": "Hello, World", "empty": "", "uni": "Straße ǅ ΣΑΣ 你好 👍🏽 é", "lines": "one\ntwo\r\n\nthree  \n", "quotes": "it's \"so\"",
    "n": 7, "zero": 0, "neg": -7, "big": 9007199254740993, "f": 2.5, "small": 1e-7, "large": 1e22, "yes": True, "no": False,
    "nothing": None, "l": [3, 1, 2], "words": ["b", "A", "c", "a"], "mixed": [1, "x", None, 2.0, [1], {"k": 1}], "none_in": [],
    "d": {"b": 1, "a": 2, "items": "shadow", "key with space": 3}, "nested": {"x": {"y": [10, 20, {"z": "deep"}]}},
    "users": [{"name": "Bob", "age": 30, "tags": ["x"]}, {"name": "alice", "age": 25}, {"name": "Carol", "age": 30, "ok": True}],
    "html": "<a href=\"x\">&'</a>", "spaces": " \t padded \n", "num": "42", "fnum": " 3.75 ",
}

PRINTING = """
1 1.0 -0.0 1e16 1e15 123456789012345680.0 0.1 1e-5 0.0001 1.5e300 2.5e-10 100.0 1/3 2/3 1e22 5e-324 1.7976931348623157e308
true false none True False None 'a' "it's" 'say "x"' [1,2.0,'a',none,true] (1,) (1,2) () [] {} {'a':1} {'a':[1,(2,)],'b':{}} [quotes] [uni] [lines]
['\\x00\\x1f\\x7f\\xa0\\u200b\\u3000\\U000e0001'] ['\\\\'] [undefined_name] {1:2,2.5:3,none:4,true:5,(1,2):6} [html] {'x':undefined_name} [0.1+0.2]
range(3) range(1,10,3) [range(3)] d.items() d.keys() d.values() namespace(a=1,b='x') [namespace(x=[1])] 10**18 -5 +5 --5 big 1_000 0x1F 0o17 0b101 1_0.5_0
1e5 1E-3 undefined_name s.nothing_here ''~'' users[0] nested mixed 9223372036854775807 -9223372036854775807 [small,large,f]
""".split()

ARITHMETIC = """
1+2 1+2.5 7-10 3*4 7/2 6/2 7//2 -7//2 7//-2 7.5//2 -7.5//2 7%3 -7%3 7%-3 -7.5%2 7.5%-2 2**10 2**-1 2.0**0.5 2**3**2 -2**2 (-8)**2 0**0 10/3 1/0 1//0 1%0 1.0//0
'a'+'b' 'a'*3 3*'a' 'a'*0 'a'*-1 [1]+[2] [1]*2 (1,)+(2,) (1,2)*2 true+true true*5 1+none 'a'+1 1+'a' [1]+(2,) 'a'-'b' none*2 2*2.5 1e308*10 -(1e308*10) 5.0//0.3 5.0%0.3
1~2 'a'~1~none~true 1~2+3 '1'~2*3 1+2~3 2*3%4 7-2-1 8/2/2 2+3*4 (2+3)*4 -3+5 -n+1 not-1
not_here+1 1+not_here -not_here not_here*2 'x'+not_here not_here~'x' n//2 n%2==1 neg%5 f//1 big+1 big*1.0 0.1*3 1e16+1 3.0 5%3.0 -1%0.3 7//1.5 2**62 (-2)**63 -9223372036854775807-1 9223372036854775806+1 3**-2 0.0**-1 0**-1
""".split()

COMPARISONS = """
1 == 1.0;1 == true;0 == false;'a' == 'a';[1, 2] == [1, 2];[1] == (1,);{'a': 1} == {'a': 1.0};none == none;1 != 2;'a' < 'b';'B' < 'a';[1, 2] < [1, 3];[1] < [1, 2];(1, 'a') < (1, 'b');1 < 2 < 3;1 < 3 < 2;1 < 2 > 1;3 > 2 >= 2;1 <= 'a';none < 1;[1] < 1
'a' in 'abc';'d' in 'abc';1 in [1, 2];3 not in [1, 2];'a' in {'a': 1};1 in {'a': 1};1 in 1;'a' in none;1 in '1';none_in == [];big == 9007199254740992.0;big > 9007199254740992.0;true < 2;1.5 >= 1;not_here == not_here;not_here == 1;not_here < 1;not_here in l;1 in not_here;[1] in {'a': 1};[1] in [[1]]
[] < [];'' < 'a';1 == 1 == 1;1 == 2 == false;range(3) == range(0, 3);range(0) == range(5, 5);1 in (1, 2);2 in range(3);5 in range(3);d.keys() == d.keys();{'a': 1} != {'a': 2};{} < {};d == {'a': 2};1 < 1.5 < 'x';1 > 2 > 'x';'a' == 1;1 is not none
1 and 2;0 and 1;1 or 2;0 or '';'' or 'x' or 'y';not not 1;not 0 and 1;1 if 1 else 2;1 if 0 else 2;1 if 0;('a' if 0) is defined;[1 if 0];1 if 1 else 2 if 1 else 3;1 if 0 else 2 if 0 else 3;(1 or 0) and 0;not (1 and 0);1 and 'a' or 'b';0 and 1 or 2;true == 1 and 1;1 == 1 or 1/0;0 and 1/0;not 1 == 2;not 1 in [1];1 if 1 if 1 else 2 else 3
""".strip().replace("\n", ";").split(";")

SUBSCRIPTS = """
l[0];l[-1];l[5];l[-9];l['x'];l[1.0];l[true];s[0];s[-1];s[99];uni[2];uni[-1];uni[4:9];s[1:4];s[::-1];s[:5];s[-5:];s[::2];s[5:2:-1];s[10:0:-3];l[1:];l[:-1];l[::-1];l[5:];l[-2:];l[::2];uni[::-1]
uni[1:12:3];(1,2,3)[1:];range(10)[2:8:2];range(10)[::-1];range(10)[3];range(10)[-1];range(3)[7];l[::0];l['a':];d['a'];d['zz'];d.b;d.items;d['items'];d.zz.y;d.zz;d.get('a');d.get('zz');d.get('zz', 5);d.key
nested.x.y[2].z;nested['x']['y'][0];nested.x.y.1;nested.x.q.z;s.upper();s['upper']();l.append(4);l.append;d.update({});d.pop;l.sort();d.keys()[0];d.items()|list;d.__class__;s.__len__;1.5.x;not_here.x;not_here[0];not_here[1:]
[1,2,3][1];{'a':{'b':2}}.a.b;'abc'[1];'abc'.1;(1,2).0;l[:][0];l[none:none];s[2:2];s[3:1];l[1:2,];d[[1]];d[none];{none:1}[none];{1:'x'}[true];users[0].name;users.0.name;users[0]['age'];s[n];s[n-1];l[l[1]];uni[100:];d.values()|list;s[1:];s[:n:2];s[-3:-1];uni[-3:]
namespace(a=1).a;namespace(a=1)['a'];namespace(a=1).b;namespace({'x':2}, y=3).x;range(5).start;dict(a=1, b=2);dict([['a',1],['b',2]]);dict({'a':1}, b=2);{'a':1}.copy();l.index(1);l.count(3);l.index(99);(1,2,1).count(1);{**d};[*l];dict(**d)
""".strip().replace("\n", ";").split(";")

FILTERS = """
s|upper;s|lower;uni|upper;uni|lower;uni|title;uni|capitalize;'hello wORLD-foo (bar)'|title;"it's a dog's"|title;'ß ﬁ'|upper;'ΑΣ Σ ΣΑ'|lower;'İ'|lower|length;s|capitalize;5|upper;none|lower;not_here|upper;true|upper;[1]|upper
spaces|trim;'xxaxx'|trim('x');'abcba'|trim('ab');5|trim;none|trim;'  a '|trim(none);'\\u00a0\\u3000a\\x1c'|trim;'xa'|trim(5);s|length;uni|length;l|length;d|count;5|length;none|length;not_here|length;range(5)|length;d.items()|length;(l|map('abs'))|length
l|join;l|join(', ');mixed|join('|');words|join(d='-');users|join(', ', attribute='name');users|join(',', 'age');s|join('.');d|join(',');not_here|join;5|join;l|join(1);[none,true,1.0]|join(' ');[]|join('x');[[1],{}]|join
s|replace('l','L');s|replace('l','L',1);s|replace('','-');s|replace('zz','y');5|replace(5,6);s|replace('o',none);s|replace('l');s|replace('l','L',-1);s|replace('l','L',count=2);uni|replace('你','x');''|replace('','x');'aaa'|replace('aa','b')
not_here|default('x');none|default('x');''|default('x');''|default('x',true);none|d('x',true);not_here|d;0|default(5,boolean=true);not_here|default(default_value=3);d.zz|default('none');not_here.x|default(1)
l|first;[]|first;s|first;d|first;not_here|first;5|first;l|last;[]|last;s|last;d|last;uni|last;range(3)|last;(l|map('abs'))|last;(l|map('abs'))|first;l|min;l|max;words|min;words|max;words|min(case_sensitive=true);[]|min;[]|max;users|max(attribute='age');[1,'a']|max
l|sort;l|sort(reverse=true);words|sort;words|sort(case_sensitive=true);users|sort(attribute='age')|map(attribute='name')|list;users|sort(attribute='age,name')|map(attribute='name')|list;users|sort(attribute='name',reverse=true)|join(',',attribute='name');[1,'a']|sort;d|sort;s|sort|join;not_here|sort;5|sort;[none]|sort;[none,none]|sort;[[2,'b'],[1,'c'],[2,'a']]|sort;users|sort(attribute='zz')|length;[{'a':none},{'a':1}]|sort(attribute='a')
l|reverse|list;s|reverse;uni|reverse;d|reverse|list;(1,2)|reverse|list;5|reverse;not_here|reverse|list;range(3)|reverse|list;l|reverse|first;(l|map('abs'))|reverse;l|list;s|list;d|list;uni|list;5|list;none|list;not_here|list;range(3)|list;d.items()|list;(1,2)|list
words|unique|list;words|unique(case_sensitive=true)|list;[1,1.0,true,2]|unique|list;users|unique(attribute='age')|map(attribute='name')|list;[[1]]|unique|list;[]|unique|list;d|items|list;d|items|length;not_here|items|list;l|items|list;none|items|list;d|dictsort;d|dictsort(reverse=true);d|dictsort(by='value');{'B':1,'a':2}|dictsort;{'B':1,'a':2}|dictsort(true);{'a':2,'b':1}|dictsort(false,'value');d|dictsort(by='x');l|dictsort;{1:1,'a':2}|dictsort
l|map('string')|list;words|map('upper')|join;users|map(attribute='name')|list;users|map(attribute='tags.0')|list;users|map(attribute='ok',default='no')|list;[[1,2],[3]]|map('first')|list;[[1,2],[3]]|map(attribute=0)|list;l|map('nofilter')|list;l|map|list;none|map('upper')|list;5|map('upper')|list;words|map('replace','a','X')|list;['1','x']|map('int',default=9)|list;l|map(attribute='x',foo=1)|list;words|map('upper')|map('lower')|list
range(10)|select('odd')|list;range(10)|reject('odd')|list;range(10)|select('divisibleby',3)|list;[0,1,'',none,'a']|select|list;[0,1,'',none,'a']|reject|list;words|select('in',['a','b'])|list;l|select('gt',1)|list;l|select('>=',2)|list;l|select('nosuch')|list;users|selectattr('ok')|map(attribute='name')|list;users|rejectattr('ok')|map(attribute='name')|list;users|selectattr('age','equalto',30)|map(attribute='name')|list;users|selectattr('ok','defined')|list|length;users|rejectattr('age','lt',30)|list|length;users|selectattr|list;users|selectattr('tags','defined')|map(attribute='tags')|first;none|select|list;l|select('sameas',1)|list;l|reject('equalto',2)|join(',')
l|sum;[]|sum;[1.5,2]|sum;users|sum(attribute='age');l|sum(start=10);['a']|sum;[[1],[2]]|sum(start=[]);l|sum('x');range(7)|batch(3)|list;range(7)|batch(3,'x')|list;range(7)|slice(3)|list;range(7)|slice(3,'x')|list;l|batch(0)|list;l|slice(0)|list;l|slice(5)|list;l|slice(5,none)|list;[]|batch(2)|list;l|batch(-1)|list;range(2)|slice(5,0)|list
'a\\nb\\n\\nc'|indent;'a\\nb\\n\\nc'|indent(2);'a\\nb\\n\\nc'|indent(2,true);'a\\nb\\n\\nc'|indent(2,true,true);'a\\nb'|indent('> ');'a\\nb'|indent(width=1,first=true);''|indent(2,true);5|indent;not_here|indent;'a\\r\\nb\\x0bc'|indent(1);'a\\n'|indent;'\\n'|indent(1,blank=true)
'42'|int;'4.9'|int;'x'|int;'x'|int(7);'0x1f'|int(0,16);'1f'|int(base=16);'101'|int(base=2);' 12 '|int;'-3'|int;'+3'|int;'1_0'|int;'1__0'|int;4.9|int;-4.9|int;true|int;none|int;[]|int;''|int;'1e3'|int;'inf'|int;'nan'|int;not_here|int;'0b11'|int(base=0);'0x'|int(5,16);'١'|int(5)|string|length;'3.5'|float;'x'|float;'x'|float(1.5);'1e3'|float;'inf'|float;'-inf'|float;'nan'|float;3|float;true|float;none|float;' 2.5 '|float;'1_0.5'|float;'.5'|float;'5.'|float;'1e400'|float;''|float;'1e-400'|float;'infinity'|float;not_here|float
-5|abs;5.5|abs;-0.0|abs;true|abs;'a'|abs;42.55|round;42.55|round(1);42.55|round(1,'floor');42.55|round(1,'ceil');42.5|round;43.5|round;42|round;42|round(1);125|round(-1);135|round(-1);1234.5|round(-2);2.675|round(2);-2.5|round;1|round(0,'ceil');5|round(method='floor');'a'|round;2.5|round(0,'x');2.5|round|int;0.5|round;1e300|round(2);15|round(-1,'floor');-7|round(-1);true|round;2.345|round(2,'ceil')
s|string;5|string;none|string;l|string;not_here|string;5|string~1;html|e;html|escape;html|safe;html|safe|e;html|e|e;html|forceescape;html|e|forceescape;none|e;(html|safe)+'<b>';'<b>'+(html|safe);(html|e)~'<';['<'|safe]|string;'<'|e|upper;('<'|safe)*2;('<b>'|safe)[0];'<'|safe|trim;'<'|safe|replace('<','x');('a'|safe).upper() is escaped;('a'|safe) is escaped;'a' is escaped;'a'|safe is string;5|safe
'%s-%d'|format('a',5);'%(x)s'|format(x=1);'%5.2f|%-6s|%06d|%+d|%x|%X|%o|%e|%g|%%|%c'|format(3.14159,'ab',42,5,255,255,8,12345.678,0.00001,'z');'%s'|format;'%s'%5;'%s %s'%(1,2);'%s'%none;'%r'%'a';'%d'%3.9;'%d'%'x';'%(a)s %(b)s'%{'a':1,'b':2};'%(z)s'%d;'%s'%[1,2];'%s'%(l,);'a'%1;'%s %s'%'a';'%q'%1;'%'%1;'%5s|%-5s|%.2s'%('ab','ab','abcdef');'%i'%true;'%f'%1;'%g'%1e10;'%g'%123456;'%g'%1234567.0;'%#x'%255;'% d'%5;'%05.1f'%-2.345;'%*d'%(5,42);'%s'%not_here;'%d'%not_here;'%c'%65;'%x'%1.5;'%e'%0;'%.0f'%2.5;'%.3d'%5;'%s'|format(a=1);'%s'%(1,2)
'{}'.format(1);'{0}{1}{0}'.format('a','b');'{a}'.format(a=1);'{:>5}|{:<5}|{:^5}|{:05d}|{:+}|{:,}|{:.2f}|{:x}|{:#x}|{:b}|{:e}|{:%}|{:g}'.format('a','b','c',42,7,1234567,3.14159,255,255,5,12345.678,0.25,0.0001);'{:*^9}'.format('mid');'{!r}'.format('a');'{!s:>4}'.format(1);'{{}}'.format();'{'.format();'}'.format();'{}'.format();'{0.name}'.format(users[0]);'{0[name]}'.format(users[0]);'{x[0]}'.format(x=l);'{:d}'.format('a');'{:s}'.format(1);'{:>{w}}'.format('a',w=4);'{} {0}'.format(1);'{:10}|'.format(1);'{:10}|'.format('a');'{:_}'.format(1000000);'{:,.1f}'.format(12345.67);'{}'.format(none);'{:5}'.format(true);'{:>5}'.format(none);'{}'.format([1,'a']);'{:.3}'.format('abcdef');'{:.3}'.format(1.23456);'{:=+6d}'.format(5);'{:c}'.format(65);'{:n}'.format(5)
'a b  c'|wordcount;uni|wordcount;''|wordcount;'foo bar baz qux'|truncate(9);'foo bar baz qux'|truncate(9,true);'foo bar baz qux'|truncate(11);'foo bar baz qux'|truncate(11,false,'...',0);s|truncate(5,end='');uni|truncate(5,true,'…',0);s|truncate(2);'ab'|center(6);'ab'|center(5);'abc'|center(6);users|groupby('age');users|groupby('age')|map(attribute='grouper')|list;users|groupby('age')|map(attribute='list')|map('length')|list;users|groupby('zz',default='q');words|groupby(0);[{'c':'CA'},{'c':'ny'},{'c':'ca'}]|groupby('c');[{'c':'CA'},{'c':'ca'}]|groupby('c',case_sensitive=true);s|attr('upper');d|attr('a');namespace(q=1)|attr('q');s|pprint|nosuch;s|nosuch
d|tojson;d|tojson(indent=2);d|tojson(sort_keys=true);mixed|tojson;[]|tojson(indent=2);{}|tojson(indent=2);{'a':[],'b':{}}|tojson(indent=1);uni|tojson;uni|tojson(ensure_ascii=true);'\\x00\\x1f\\x7f\\u2028"\\\\/\\b\\f\\n\\r\\t'|tojson;[1.0,1e22,1e-7,-0.0]|tojson;('inf'|float)|tojson;('nan'|float)|tojson;(1,(2,))|tojson;{1:1,2.5:2,none:3,true:4}|tojson;{(1,2):3}|tojson;not_here|tojson;[not_here]|tojson;range(3)|tojson;namespace()|tojson;nested|tojson(indent=4);d|tojson(separators=(',',':'));d|tojson(indent='--');d|tojson(false,2,(';','=')); html|tojson;(html|safe)|tojson;users|tojson(indent=2,sort_keys=true);{'b':1,1:2}|tojson(sort_keys=true);d|tojson(foo=1);none|tojson;true|tojson;big|tojson;d.items()|tojson;l|tojson(indent=0);l|tojson(indent=none);l|tojson(indent=true);d|tojson(separators='x');d|tojson(true,none,none,true)
""".strip().replace("\n", ";").split(";")

TESTS = """
n is defined;not_here is defined;not_here is undefined;d.zz is defined;d.b is defined;nothing is none;n is none;nothing is not none;s is string;n is string;(html|safe) is string;n is number;f is number;yes is number;s is number;n is integer;yes is integer;f is integer;f is float;n is float;yes is boolean;n is boolean;yes is true;1 is true;no is false;0 is false;none is false;d is mapping;l is mapping;namespace() is mapping
l is iterable;s is iterable;n is iterable;d is iterable;nothing is iterable;not_here is iterable;range(3) is iterable;(l|map('abs')) is iterable;d.items() is iterable;l is sequence;s is sequence;d is sequence;n is sequence;(1,) is sequence;range(3) is sequence;d.items() is sequence;(l|map('abs')) is sequence;not_here is sequence;nothing is sequence;s.upper is callable;s is callable;range is callable;not_here is callable;raise_exception is callable;namespace() is callable;joiner() is callable
n is odd;n is even;neg is odd;zero is even;f is odd;3.0 is odd;s is odd;nothing is even;not_here is odd;n is divisibleby 7;n is divisibleby(2);n is divisibleby 0;n is divisibleby num=7;n is eq 7;n is equalto 7;n is equalto(8);n is == 7;n is ne 7;n is lt 8;n is lessthan 7;n is le 7;n is gt 6;n is greaterthan 7;n is ge 7;n is lt 'a';s is in [s];'H' is in s;1 is in l;1 is not in l;n is in none;s is sameas s;1 is sameas true;none is sameas none;l is sameas l;'abc' is lower;'aBc' is lower;'ABC' is upper;'' is upper;'1' is lower;'ΣΑ' is upper;5 is upper;'ǅ' is upper;'abs' is filter;'nosuch' is filter;'odd' is test;'zz' is test;5 is filter
n is defined and n > 3;not n is defined;n is not defined or true;(n is defined) == true;n is defined == true;n is none is none;n is nosuch;n if n is defined else 0;[n is odd, f is float];n is integer and not n is float;n is divisibleby 7 and true;n is divisibleby(7) or false;-1 is odd;not 1 is odd;1 + 1 is odd;2 is odd + 1;l|length is odd;s|length is divisibleby 4;not_here is not defined;not_here is none;not_here.x is defined;d.zz.y is defined;nested.x.y is iterable;users[0].tags is defined;1 is number is string;n is divisibleby;n is defined(1)
""".strip().replace("\n", ";").split(";")

METHODS = """
' a '.strip();'xxaxx'.strip('x');'abc'.strip('');' a '.lstrip();' a '.rstrip();'abcab'.lstrip('ab');'abcab'.rstrip('ab');'a'.strip(5);'a,b,c'.split(',');'a,b,c'.split(',',1);'a b  c '.split();' a  b c'.split(none,1);'a,b,c'.rsplit(',',1);' a  b c '.rsplit(none,1);'a'.split('');'abc'.split('b',maxsplit=1);'abc'.split(sep='b');''.split();''.split(',');'a--b--c'.split('--');'a b c'.split(maxsplit=1);'a'.split(5)
'你-好'.split('-');'a</think>b</think>c'.split('</think>')[-1];'a</think>b'.split('</think>')[0].split('<think>')[-1].lstrip('\\n');lines.splitlines();lines.splitlines(true);'a\\x0bb\\x1cc\\u2028d\\x85e'.splitlines();''.splitlines();'\\n'.splitlines();'a\\n\\nb'.splitlines(keepends=true);s.startswith('Hello');s.startswith('World',7);s.startswith(('x','He'));s.startswith('x');s.startswith(['x']);s.endswith('World');s.endswith(('a','d'));s.endswith('Hello',0,5);s.startswith('');s.startswith('',20);s.startswith(5);s.endswith('')
s.replace('l','L');s.replace('l','L',1);s.replace('','-',3);s.replace('l');s.replace(5,6);uni.upper();uni.lower();uni.title();uni.capitalize();uni.swapcase();"they're bill's".title();'ǆ'.title();'ﬁx'.capitalize();'1a b'.title();'hELLO'.capitalize();''.capitalize();'hello world'.title();'ÀÉ'.lower();'ŉ'.title();'ა'.title();'ა'.upper();'Ⴀ'.lower()
s.find('o');s.find('o',5);s.find('o',5,7);s.find('z');s.find('');s.find('',50);s.rfind('o');s.rfind('o',0,5);uni.find('你');uni.rfind('é');s.index('W');s.index('z');s.rindex('o');s.count('l');s.count('');s.count('l',3);s.count('l',0,3);uni.count('你');'aaa'.count('aa');s.find('l',-4);s.find('H',-100);s.count('x',99);s.find('',3,2);''.find('')
', '.join(words);', '.join([1]);','.join('abc');'-'.join([]);','.join(d);s.removeprefix('Hello');s.removeprefix('x');s.removesuffix('World');s.removesuffix('');'12'.isdigit();'²'.isdigit();'²'.isdecimal();'½'.isnumeric();'a1'.isalnum();'ab'.isalpha();'你'.isalpha();''.isalpha();' \\t'.isspace();''.isspace();'A'.isupper();'a1'.islower();'Ab Cd'.istitle();'AB'.istitle();'a'.isascii();uni.isascii();'a\\n'.isprintable();''.isprintable()
'42'.zfill(5);'-42'.zfill(5);'+4'.zfill(4);'abc'.zfill(2);''.zfill(2);'ab'.ljust(5);'ab'.rjust(5,'*');'ab'.center(5,'*');'abc'.center(6,'*');'a'.center(4);'ab'.center(7,'.');'你'.ljust(3,'-');'ab'.ljust(5,'xx');'a-b-c'.partition('-');'a-b-c'.rpartition('-');'abc'.partition('-');'abc'.rpartition('-');'a'.partition('');s.upper().lower().title();s.nosuch();s.upper(1);s.split(foo=1);d.items()|list;d.keys()|list;d.values()|list
d.get('items');d.items;{'items':1}.items;{'x':1}.items()|first;d.get();d.get([1]);d.get('a',1,2);{'a':1}.copy();{'get':5}.get('get');d.keys()|join(',');d.values()|sum;'a' in d.keys();2 in d.values();('a',2) in d.items();l.copy();d.clear();l.pop();l.extend([1]);l.insert(0,1);l.reverse();l.remove(1);l.clear();d.setdefault('a',1);d.popitem();s.join;(1,2).index(2)
""".strip().replace("\n", ";").split(";")

GLOBALS = """
range(0)|list;range(5)|list;range(1,5)|list;range(5,1,-2)|list;range(100000)|length;range(100001);range(1,2,0);range('a');range();range(1.5);range(true)|list;range(-3)|list;dict();dict(a=1);dict([1]);dict(5);dict('ab');namespace(5);cycler('a','b').next();cycler();joiner()();joiner('x')();raise_exception('stop');raise_exception();raise_exception(5);strftime_now('%d %b %Y');strftime_now('%Y-%m-%d %A %B %j %% %y %e');strftime_now('');strftime_now();strftime_now(5);strftime_now('%f');strftime_now('%z|%Z');lipsum is defined;nothing_called();s();5();none();l();d();[1](0);(1)(2);range(stop=3)
""".strip().split(";")

TEMPLATES = [
    # statements and scopes
    "{% if n > 5 %}a{% elif n > 3 %}b{% else %}c{% endif %}", "{% if not_here %}a{% endif %}b", "{% if 0 %}a{% elif 1 %}b{% elif 1 %}c{% endif %}",
    "{% if a, b %}t{% endif %}", "{% if a if b else c %}x{% endif %}", "{% if s: %}x{% endif %}", "{% if %}x{% endif %}", "{% if 1 %}x", "{% endif %}", "{% else %}",
    "{% for x in l %}{{ x }},{% endfor %}", "{% for x in [] %}a{% else %}empty{% endfor %}", "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }};{% endfor %}",
    "{% for c in uni %}[{{ c }}]{% endfor %}", "{% for x in l if x > 1 %}{{ loop.index }}:{{ x }} {% endfor %}", "{% for x in l if x > 5 %}a{% else %}none{% endfor %}",
    "{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "{% for a, b in [1] %}{% endfor %}", "{% for a, b in [[1, 2, 3]] %}{% endfor %}", "{% for a, b in [[1]] %}{% endfor %}", "{% for a, b in ['xy'] %}{{ b }}{{ a }}{% endfor %}",
    "{% for x in 5 %}{% endfor %}", "{% for x in none %}{% endfor %}", "{% for x in not_here %}a{% else %}b{% endfor %}", "{% for x in 1, 2 %}{{ x }}{% endfor %}", "{% for x in l if x if y %}{% endfor %}", "{% for 1 in l %}{% endfor %}", "{% for loop in l %}{% endfor %}", "{% for x in l %}{% set loop = 1 %}{% endfor %}", "{% for x.y in l %}{% endfor %}",
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }};{% endfor %}",
    "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }};{% endfor %}", "{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{% endfor %}", "{% for x in l %}{{ loop.previtem.y }}{% endfor %}", "{% for x in l %}{{ loop.cycle('a', 'b') }}{% endfor %}", "{% for x in l %}{{ loop.cycle() }}{% endfor %}",
    "{% for x in [1, 1, 2, 2, 1] %}{% if loop.changed(x) %}{{ x }}{% endif %}{% endfor %}", "{% for x in [1, 1, 2] %}{{ loop.changed(x, 1) }}{% endfor %}", "{% for x in l|map('abs') %}{{ loop.length }}{{ loop.last }}{{ x }}{% endfor %}", "{% for x in l if x != 1 %}{{ loop.length }}{{ loop.revindex }}{{ loop.last }}{{ loop.nextitem }}{{ x }};{% endfor %}",
    "{% for x in l %}{% for y in 'ab' %}{{ loop.index }}{{ y }}{% endfor %}{{ loop.index }}{% endfor %}", "{% for x in l %}{% set outer = loop %}{% for y in 'ab' %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}", "{{ loop }}", "{% for x in l %}{% endfor %}{{ x }}", "{% set x = 'o' %}{% for x in l %}{{ x }}{% endfor %}{{ x }}",
    "{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}", "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}", "{% for x in l %}{% break %}{% else %}e{% endfor %}", "{% for x in l %}{% continue %}{% else %}e{% endfor %}", "{% for x in l %}{{ x }}{% if x == 1 %}{% break %}{% endif %}{% else %}e{% endfor %}", "{% break %}", "{% continue %}", "{% for x in l %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}",
    "{% for x in l %}{% for y in l %}{% break %}{% endfor %}{{ x }}{% endfor %}", "{% for x in l %}{% for y in [] %}{% else %}{% break %}{% endfor %}{{ x }}{% endfor %}", "{% for x in l %}{% with %}{% break %}{% endwith %}{% endfor %}x", "{% for x in l %}a{% filter upper %}b{% break %}{% endfilter %}{% endfor %}c", "{% for x in l %}{% set y %}b{% continue %}{% endset %}{{ y }}{% endfor %}c", "{% for x in l recursive %}{{ x }}{% endfor %}",
    "{% for x in [1, [2, [3]]] recursive %}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}@{{ loop.depth }}{% endif %}{% endfor %}", "{% for x in l %}{{ loop(x) }}{% endfor %}", "{% for x in [{'v': 1, 'c': [{'v': 2}]}] recursive %}{{ x.v }}{% if x.c %}<{{ loop(x.c) }}>{% endif %}{{ loop.index }}{% endfor %}", "{% for x in l %}{{ loop.nosuch }}|{% endfor %}", "{% for x in l %}{{ loop.index is odd }}{% endfor %}",
    "{% set x = 1 %}{{ x }}", "{% set x = 1, 2 %}{{ x }}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set (a, b) = [3, 4] %}{{ a }}{{ b }}", "{% set a, b = 1 %}", "{% set a, b = 'xyz' %}", "{% set x %}body {{ n }}{% endset %}[{{ x }}]", "{% set x | upper %}body{% endset %}{{ x }}", "{% set x | replace('o', '0') | upper %}foo{% endset %}{{ x }}", "{% set x = %}", "{% set 5 = 1 %}", "{% set x.y = 1 %}", "{% set none = 1 %}", "{% set true = 1 %}", "{% set x[0] = 1 %}",
    "{% set ns = namespace(a=1) %}{% set ns.a = ns.a + 1 %}{{ ns.a }}", "{% set ns = namespace() %}{% for x in l %}{% set ns.sum = (ns.sum or 0) + x %}{% endfor %}{{ ns.sum }}", "{% set ns = 5 %}{% set ns.a = 1 %}", "{% set d.x = 1 %}", "{% set ns = namespace() %}{% set ns.a, ns.b = 1, 2 %}{{ ns }}", "{% set ns = namespace() %}{% set ns.a %}text{% endset %}{{ ns.a }}", "{% set ns = namespace(x=1) %}{% set ns2 = ns %}{% set ns2.x = 5 %}{{ ns.x }}", "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}",
    "{% set x = 1 %}{% for y in l %}{% set x = y %}{{ x }}{% endfor %}{{ x }}", "{% for y in l %}{{ x }}{% set x = y %}{{ x }};{% endfor %}", "{% set x = 0 %}{% for y in l %}{{ x }}{% set x = x + y %}{{ x }};{% endfor %}{{ x }}", "{% if 1 %}{% set x = 1 %}{% endif %}{{ x }}", "{% if 0 %}{% set x = 1 %}{% endif %}{{ x }}|", "{% if 0 %}{% set n = 1 %}{% endif %}{{ n }}", "{% for y in [1] %}{% if 0 %}{% set n = 1 %}{% endif %}{{ n }}{% endfor %}", "{% for y in [1, 2] %}{% if y == 2 %}{% set n = 'set' %}{% endif %}{{ n }}{% endfor %}", "{% set n = n + 1 %}{{ n }}", "{% set n %}{{ n }}!{% endset %}{{ n }}", "{% for y in [1] %}{% set n %}{{ n }}!{% endset %}{{ n }}{% endfor %}{{ n }}", "{% set s = 1 %}{% macro m() %}{{ s }}{% endmacro %}{% set s = 2 %}{{ m() }}", "{% macro m() %}{{ late }}{% endmacro %}{% set late = 2 %}{{ m() }}", "{% macro m() %}{{ n }}{% set n = 1 %}{{ n }}{% endmacro %}{{ m() }}{{ n }}", "{% if n %}{% for x in [1] %}{% set n = 5 %}{% endfor %}{% endif %}{{ n }}", "{% for a in [1] %}{% for b in [2] %}{% set n = n + 1 %}{{ n }}{% endfor %}{{ n }}{% endfor %}{{ n }}",
    "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% with %}{% set z = 1 %}{{ z }}{% endwith %}{{ z }}", "{% with n = n + 1 %}{{ n }}{% endwith %}{{ n }}", "{% with a = 1, b = a %}{{ b }}{% endwith %}", "{% with a, b = 1 %}{% endwith %}", "{% with a = 1 %}{% set n = 'x' %}{{ n }}{% endwith %}{{ n }}", "{% with (a, b) = (1, 2) %}{{ a }}{{ b }}{% endwith %}",
    "{% filter upper %}abc {{ s }}{% endfilter %}", "{% filter replace('a', 'b')|upper %}aa{% endfilter %}", "{% filter nosuch %}a{% endfilter %}", "{% filter upper %}{% set z = 1 %}{{ z }}{% endfilter %}{{ z }}", "{% filter length %}abc{% endfilter %}", "{% filter trim %}  x  {% endfilter %}|", "{% print 1, 'a' %}", "{% print n %}", "{% generation %}gen {{ n }}{% endgeneration %}", "{% generation %}{% set z = 1 %}{{ z }}{% endgeneration %}{{ z }}", "{%- generation -%} a {%- endgeneration -%} b", "{% for x in l %}{% generation %}{{ loop.index }}{{ x }}{% endgeneration %}{% endfor %}", "{% for x in l %}{% generation %}{% break %}{% endgeneration %}{% endfor %}",
    # macros
    "{% macro m(a, b=2) %}{{ a }}-{{ b }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(b=5, a=4) }} {{ m() }} {{ m(b=1) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(c=2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}", "{% macro m(a, a) %}{% endmacro %}", "{% macro m(a=1, b) %}{% endmacro %}", "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}", "{% macro m(a) %}{{ a }}{{ varargs }}{% endmacro %}{{ m(1) }}{{ m(1, 2) }}", "{% macro m(a=n, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m() }}{{ m(1) }}", "{% macro m(a=b, b=1) %}[{{ a }}{{ b }}]{% endmacro %}{{ m() }}", "{% macro m(x) %}{{ x is defined }}{% endmacro %}{{ m() }}{{ m(not_here) }}{{ m(1) }}", "{% macro m(x='d') %}{{ x }}{% endmacro %}[{{ m(not_here) }}][{{ m(none) }}]",
    "{% macro f(k) %}{{ k }}{% if k > 0 %}{{ f(k - 1) }}{% endif %}{% endmacro %}{{ f(3) }}", "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}", "{% macro m() %} x {% endmacro %}[{{ m()|trim }}]", "{{ m() }}{% macro m() %}x{% endmacro %}", "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}body{% endcall %}", "{% macro m() %}{{ caller('x') }}{% endmacro %}{% call(v) m() %}[{{ v }}]{% endcall %}", "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}", "{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}", "{% macro m(l) %}{% for x in l %}{{ caller(x) }}{% endfor %}{% endmacro %}{% call(i, j=2) m([1, 2]) %}{{ i }}{{ j }}{{ n }}{% endcall %}", "{% call 5 %}{% endcall %}", "{% call s.upper() %}{% endcall %}", "{% macro m(caller) %}{{ caller }}{% endmacro %}{{ m(1) }}", "{% macro m(caller=5) %}{{ caller }}{% endmacro %}{{ m() }}{{ m(caller=3) }}", "{% macro m() %}{% set x = 1 %}{% endmacro %}{{ m() }}{{ x }}", "{% macro m() %}{{ x }}{% endmacro %}{% for x in l %}{{ m() }}{% endfor %}|", "{% for x in l %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}", "{% macro m(x) %}{{ x.name }}{% endmacro %}{{ users|map(attribute='name')|join }}{{ m(users[0]) }}", "{% macro m() %}{% endmacro %}{{ m }}|{{ m.name }}|{{ m is callable }}", "{% macro m(*a) %}{% endmacro %}", "{% macro m(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ m(*[1, 2]) }}{{ m(**{'a': 3, 'b': 4}) }}{{ m(*[5], **{'b': 6}) }}", "{{ dict(*[[['a', 1]]], **{'b': 2}) }}", "{{ range(*5) }}", "{{ dict(**5) }}", "{% macro m() %}a{% endmacro %}{{ m() ~ m() }}{{ m() + 'b' }}{{ [m()] }}", "{% macro outer() %}{% macro inner() %}i{% endmacro %}{{ inner() }}{% endmacro %}{{ outer() }}{{ inner is defined }}", "{% set ns = namespace() %}{% macro m(v) %}{% set ns.x = v %}{% endmacro %}{{ m(5) }}{{ ns.x }}", "{% set f = namespace() %}{% macro outer(v) %}{% macro inner() %}{{ v }}{% endmacro %}{% set f.g = inner %}{% endmacro %}{{ outer(7) }}{{ f.g() }}", "{% if 1 %}{% macro m() %}c{% endmacro %}{% endif %}{{ m() }}",
    # white space, comments, raw, data
    "a\n{% if 1 %}\nb\n{% endif %}\nc\n", "a\n  {% if 1 %}  \n  b\n  {% endif %}  \nc", "  {%+ if 1 %}x{% endif %}", "{% if 1 +%}\nx{% endif %}", "a {%- if 1 -%} b {%- endif -%} c", "a\n\n{{- n -}}\n\nb", "a {{ n -}} b {{- n }} c", "{{ n }}\n{{ n }}\n", "{{ n }}\n\n", "a\r\nb\rc\n", "\n\n{% set x = 1 %}\n\n{{ x }}", "{# c #}\nx", "  {# c #}\nx", "a {#- c -#} b", "a{# {{ n }} #}b", "{# unclosed", "a {#+ c #}\nb", "{# a #}{# b #}\n c", "x {# c +#}\ny", "{% raw %}{{ n }}{% endraw %}", "a\n  {% raw %}\n {{ x }} \n  {% endraw %}\nb", "{%- raw -%}  {{ n }}  {%- endraw -%}  b", "{% raw %}{% if %}{% endraw %}x", "{% raw %}", "{% raw %}a{% endraw +%}\nb", "{ { n } }", "{{ '{{' }}", "{{ '}}' }}", "{% set x = '%}' %}{{ x }}", "{{ {'a': {'b': 1}} }}", "{{ {'a': 1}}}", "{{ n }", "{{ n", "{% if 1", "{{", "}}", "%}", "{%", "{% %}", "{{ }}", "{{ n n }}", "{{ n, }}", "{{ 1, 2 }}", "\t{% set x = 1 %}\t\n{{ x }}", "a{% if 1 %}\n\nb{% endif %}", "\u00a0\u3000{% if 1 %}x{% endif %}", "a  {%- if 1 %} b{% endif %}", "{%if 1%}x{%endif%}", "{%-if 1-%} x {%-endif-%}", "{{-n-}}", "{{+ n }}", "{{ -n }}", "{{- -n }}", "{% for x in l -%}\n  {{ x }}\n{%- endfor %}", "{% for x in l %}\n  {{ x }}\n{% endfor %}\n", "x{% if 1 %}{% endif %}\n\n\ny", " {% if 1 %} {% endif %} z",
    # names, strings, literals, errors
    "{{ 'a' 'b' \"c\" }}", "{{ 'a\\nb\\t\\\\\\'\\\"' }}", "{{ '\\x41\\u00e9\\U0001F600\\101' }}", "{{ '\\q\\é\\你' }}", "{{ '\\x4' }}", "{{ 'a\nb' }}", "{{ 'unclosed }}", "{{ 0 }}{{ 00 }}{{ 1_0 }}", "{{ 01 }}", "{{ 0x }}", "{{ 1__0 }}", "{{ 1.e5 }}", "{{ 1.5.5 }}", "{{ .5 }}", "{{ 1e }}", "{{ a! }}", "{{ a ? b }}", "{{ $x }}", "{{ `x` }}", "{{ a; b }}", "{{ (1, 2 }}", "{{ [1, 2) }}", "{{ 1] }}", "{{ [1,,2] }}", "{{ [1, 2,] }}", "{{ (1,) }}", "{{ {'a': 1,} }}", "{{ {'a' 1} }}", "{{ {a: 1} }}", "{{ f(1 2) }}", "{{ range(1,) |list }}", "{{ range(,) }}", "{{ dict(a=1, 2) }}", "{{ dict(a=1, a=2) }}", "{{ x. }}", "{{ x.'a' }}", "{{ x.1 }}", "{{ x|1 }}", "{{ x| }}", "{{ x is }}", "{{ x is 1 }}", "{{ not }}", "{{ 1 + }}", "{{ * 1 }}", "{{ 1 if }}", "{{ 1 else 2 }}", "{{ a = 1 }}", "{{ lambda: 1 }}", "{% nosuch %}", "{% include 'x' %}", "{% set %}", "{% for %}", "{% for x %}", "{% for x in %}{% endfor %}", "{% macro %}", "{% macro m %}{% endmacro %}", "{% call %}", "{% if 1 %}{% endfor %}", "{% for x in l %}{% endif %}", "{% endfor %}", "{% set x = 1 2 %}", "{{ über }}{% set über = 1 %}{{ über }}", "{{ 你 }}", "{{ class }}{% set class = 1 %}{{ class }}", "{{ _x }}{% set _x = 1 %}{{ _x }}", "{% if 0 %}{{ 1|nosuch }}{% endif %}ok", "{{ 1|nosuch if 0 else 2 }}", "{% if 0 %}{% for x in l %}{{ x|nosuch }}{% endfor %}{% endif %}", "{% if 0 %}{{ 1 is nosuch }}{% endif %}ok", "{% if 1 %}{{ 1|nosuch }}{% endif %}", "{{ 1|nosuch }}", "{% set j = joiner(', ') %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}", "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.current }}",
    "{% set g = l|map('abs') %}{{ g|list }}{{ g|list }}", "{% set g = l|map('abs') %}{{ g|first }}{{ g|list }}", "{% set g = l|select %}{% for x in g %}{{ x }}{% break %}{% endfor %}{{ g|join(',') }}", "{{ (l|map('abs'))[0] }}", "{{ (l|map('abs'))[1:] }}", "{% if l|select('gt', 9) %}truthy{% endif %}", "{% if l|select('gt', 9)|list %}truthy{% else %}no{% endif %}", "{{ 1 in l|map('abs') }}", "{% set r = l|reverse %}{{ r|list }}{{ r|list }}", "{{ d|items|first }}", "{{ not_here is defined and not_here.x }}", "{{ (not_here or d).b }}", "{{ nested.x.y[-1].z|upper }}", "{{ users|selectattr('age', 'gt', 26)|map(attribute='name')|join(', ') }}", "{{ (users|first).name ~ '!' }}", "{{ l|length - 1 }}", "{{ l|length > 2 and l|first == 3 }}", "{{ -l|first }}", "{{ -1|abs }}", "{{ 2 ** -1|abs }}", "{{ 'a' ~ 'b'|upper }}", "{{ ('a' ~ 'b')|upper }}", "{{ 1 + 2|string }}", "{{ not l is string }}", "{{ 'x' if l else 'y' ~ 'z' }}", "{{ l[0] if l is sequence and l|length > 0 else none }}", "{{ 'a' in 'abc' and 'b' not in 'xyz' }}", "{{ 1 < 2 == true }}", "{{ s.split(', ')[1][::-1]|upper }}", "{{ d.a if d.a is defined else 'q' }}", "{{ {'a': 1}['a'] }}", "{{ [1, 2, 3][-1] }}", "{{ (1, 2)[0] }}", "{{ 'abc'|list|reverse|join }}", "{{ 'é'|length }}{{ 'é'.encode is defined }}",
]


# What comparisons of longer random runs have found.
FOUND = """
'{:05}'.format('a');'{:>05}'.format('a');'{:<05}'.format(3);'{:05}'.format(-3);'{:+c}'.format(65);'{.3}'.format(1);'{.name}'.format(users[0]);'{} {0.name}'.format(users[0]);'{0[0]}{}'.format(l);'{:>-4}'.format('a');'%(n)%'%{'n':1};'%5%'%();range(10)[28:2];range(10)[2:7:2];namespace(q);dict(q);words|sort(q);words|sort(reverse=1)|join;d|dictsort(reverse=q);words|truncate(5);words|truncate(1,leeway=0);lines.splitlines(q);1.8e308;1 in mixed|map('abs');(n|map('abs')) is sequence;html|select('gt', 9) is iterable;(mixed|map('abs')|first)
""".strip().split(";")


def random_expression(rng, depth):
    """An expression that jinja2 may well refuse when it runs."""
    atoms = ["n", "s", "l", "d", "f", "yes", "nothing", "words", "users", "nested", "uni", "empty", "zero", "neg", "1", "2.5", "'ab'", "''", "[]", "true", "none", "not_here", "mixed", "num"]
    if depth == 0:
        return rng.choice(atoms)
    sub = lambda: random_expression(rng, depth - 1)
    filters = ["upper", "length", "list", "first", "last", "join(',')", "string", "int", "float", "abs", "sort", "reverse", "unique|list", "trim", "tojson", "default('q')", "replace('a', 'b')", "title", "sum", "max", "min", "map('string')|list", "select|list", "round(1)", "dictsort", "items|list", "e", "tojson(indent=1)", "wordcount", "batch(2)|list", "capitalize", "map('upper')|join", "reject('none')|list", "center(9)"]
    tests = ["defined", "none", "string", "number", "mapping", "iterable", "sequence", "odd", "eq 1", "in [1, 'ab']", "true", "lower", "integer", "divisibleby 2"]
    operators = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", ">", "<=", ">=", "in", "not in", "and", "or"]
    kind = rng.randrange(12)
    if kind < 3:
        return f"{sub()} {rng.choice(operators)} {sub()}"
    if kind < 5:
        return f"({sub()})|{rng.choice(filters)}"
    if kind == 5:
        return f"({sub()}) is {rng.choice(['', 'not '])}{rng.choice(tests)}"
    if kind == 6:
        if rng.random() < 0.5:
            return f"{rng.choice(['l', 's', 'words', 'uni', 'users', 'n', 'd'])}[{rng.choice(['1:', ':-1', '::-1', '1:3', ':n', '-2:'])}]"
        return f"({sub()})[{rng.choice(['0', '-1', repr('name'), sub()])}]"
    if kind == 7:
        return f"({sub()} if {sub()} else {sub()})"
    if kind == 8:
        return rng.choice([f"[{sub()}, {sub()}]", f"({sub()}, {sub()})", f"{{'k': {sub()}, 'm': {sub()}}}"])
    if kind == 9:
        return f"({sub()}).{rng.choice(['upper()', 'split()', 'strip()', 'items()', 'keys()', 'name', 'x', 'a', 'get(1)', 'title()', 'lower()', 'splitlines()', 'y'])}"
    if kind == 10:
        return rng.choice(["not ", "-", "+"]) + sub()
    return f"({sub()})"


def random_template(rng, depth=2):
    """Statements around expressions, with white space of all kinds."""
    gap = lambda: rng.choice(["", " ", "\n", "\n  ", "  \n", "x", " y\n", "\t"])
    tag = lambda text: "{%" + rng.choice(["", "-", "+", "", ""]) + " " + text + " " + rng.choice(["", "-", "+", "", ""]) + "%}"
    show = lambda: "{{" + rng.choice(["", "-", ""]) + " " + random_expression(rng, 1) + " " + rng.choice(["", "-", ""]) + "}}"
    out = ""
    for _ in range(rng.randint(1, 3)):
        kind = rng.randrange(9) if depth else rng.randrange(3)
        inner = lambda: gap() + random_template(rng, depth - 1) + gap()
        out += gap()
        if kind < 2:
            out += show()
        elif kind == 2:
            out += rng.choice(["{# c #}", "{#- c -#}", "{% raw %} {{ }} {% endraw %}", tag(f"set v = {random_expression(rng, 1)}") + "{{ v }}"])
        elif kind < 5:
            out += tag(f"if {random_expression(rng, 1)}") + inner() + rng.choice(["", tag("else") + inner()]) + tag("endif")
        elif kind < 7:
            out += tag(f"for v in {rng.choice(['l', 'words', 'users', 's', 'd', 'range(3)', 'none_in'])}") + inner() + rng.choice(["{{ v }}", "{{ loop.index }}", "{{ loop.last }}", "{% set n = v %}{{ n }}"]) + rng.choice(["", tag("else") + inner()]) + tag("endfor")
        elif kind == 7:
            out += tag("set w") + inner() + tag("endset") + "{{ w }}"
        else:
            out += tag("macro m(q=1)") + "{{ q }}" + inner() + tag("endmacro") + "{{ m() }}{{ m(n) }}"
    return out + gap()


def all_templates(seed=20240607, number=900):
    expressions = PRINTING + ARITHMETIC + COMPARISONS + SUBSCRIPTS + FILTERS + TESTS + METHODS + GLOBALS
    templates = ["{{ " + e + " }}" for e in expressions] + TEMPLATES
    rng = random.Random(seed)
    templates += ["{{ " + random_expression(rng, rng.randint(1, 3)) + " }}" for _ in range(number)]
    templates += [random_template(rng) for _ in range(number // 2)]
    templates += ["{{ " + e + " }}" for e in FOUND]
    return list(dict.fromkeys(templates))

