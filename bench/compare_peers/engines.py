"""The engines, one a process: each answers requests on its standard input, a JSON document a line.

    {"behind": [ids], "prompt": [ids], "generate": n}
        ->  {"prefill": seconds, "decode": seconds, "ids": [n + 1 greedy ids]}

The text is `behind` and the prompt, of which the prompt alone is timed. The prefill's time includes its first id; the
decode's is that of the n others. eigenlm's own side of this is
`throughput --serve`.
"""

import json
import os
import sys
import time


def package_version(*names):
    from importlib.metadata import version

    return ", ".join(f"{name} {version(name)}" for name in names)


class LlamaCpp:
    def __init__(self, path, dtype, threads, context):
        import gguf
        import llama_cpp
        from models import MIXTURES

        self.api = api = llama_cpp
        weights, cache = MIXTURES.get(dtype, dtype), "f16" if dtype in MIXTURES else dtype
        self.about = f"{package_version('llama-cpp-python')}; {weights} weights, {cache} cache, batches of 512"
        api.llama_backend_init()
        params = api.llama_model_default_params()
        params.use_mmap = False  # pages of a file would be the first to go while others work
        self.model = api.llama_model_load_from_file(str(path / "model.gguf").encode(), params)
        params = api.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = context, max(512, context), 512
        params.type_k = params.type_v = int(gguf.GGMLQuantizationType[cache.upper()])
        params.n_threads = params.n_threads_batch = threads
        self.context = api.llama_init_from_model(self.model, params)
        self.vocab = api.llama_vocab_n_tokens(api.llama_model_get_vocab(self.model))

    def step(self, ids):
        import numpy

        array = (self.api.llama_token * len(ids))(*ids)
        if self.api.llama_decode(self.context, self.api.llama_batch_get_one(array, len(ids))) != 0:
            raise RuntimeError("llama_decode failed")
        logits = self.api.llama_get_logits_ith(self.context, -1)
        return int(numpy.ctypeslib.as_array(logits, (self.vocab,)).argmax())

    def generate(self, behind, prompt, n):
        self.api.llama_memory_clear(self.api.llama_get_memory(self.context), True)
        if behind:
            self.step(behind)
        times = [time.perf_counter()]
        ids = [self.step(prompt)]  # in parts of n_ubatch; logits of the last one only
        times.append(time.perf_counter())
        for _ in range(n):
            ids.append(self.step(ids[-1:]))
        times.append(time.perf_counter())
        return times[1] - times[0], times[2] - times[1], ids


class OpenVino:
    def __init__(self, path, dtype, threads, context):
        import openvino
        import openvino_genai

        self.api = openvino_genai
        weights = {"q8_0": "int8", "q4_0": "int4"}.get(dtype, "f32")
        settings = {"INFERENCE_PRECISION_HINT": dtype, "KV_CACHE_PRECISION": dtype} if weights == "f32" else {}
        self.pipeline = openvino_genai.LLMPipeline(path, "CPU", INFERENCE_NUM_THREADS=threads, **settings)
        self.about = f"{package_version('openvino-genai')}; weights exported as {weights}, "
        if settings:
            self.about += f"inference and cache precision {dtype}"
        else:  # it chooses itself
            default = lambda name: openvino.Core().get_property("CPU", name)
            self.about += f"inference precision {default('INFERENCE_PRECISION_HINT').to_string()}, "
            self.about += f"activations quantised in groups of {default('DYNAMIC_QUANTIZATION_GROUP_SIZE')}, "
            self.about += f"{default('KV_CACHE_PRECISION').to_string()} cache"

    def generate(self, behind, prompt, n):
        import numpy
        import openvino

        assert not behind, "cannot tell the time of a part of a prompt"

        settings = self.api.GenerationConfig()
        settings.max_new_tokens, settings.ignore_eos, settings.do_sample = n + 1, True, False
        ids = numpy.array([prompt], dtype=numpy.int64)
        inputs = self.api.TokenizedInputs(openvino.Tensor(ids), openvino.Tensor(numpy.ones_like(ids)))
        result = self.pipeline.generate(inputs, settings)
        prefill = result.perf_metrics.get_ttft().mean / 1000
        decode = result.perf_metrics.get_tpot().mean / 1000 * n
        return prefill, decode, list(result.tokens[0])


class CTranslate2:
    def __init__(self, path, dtype, threads, context):
        import ctranslate2

        compute = {"f32": "float32", "q8_0": "int8"}[dtype]  # on CPUs it has no others
        self.about = f"{package_version('ctranslate2')}; {compute}"
        self.generator = ctranslate2.Generator(
            str(path), device="cpu", inter_threads=1, intra_threads=threads, compute_type=compute
        )
        self.tokens = json.loads((path / "vocabulary.json").read_text())

    def generate(self, behind, prompt, n):
        assert not behind, "cannot tell the time of a part of a prompt"
        tokens = [self.tokens[i] for i in prompt]
        times = [time.perf_counter()]
        result = self.generator.generate_batch(
            [tokens], max_length=n + 1, min_length=n + 1, include_prompt_in_result=False, sampling_topk=1,
            callback=lambda step: times.append(time.perf_counter()),
        )  # fmt: skip
        return times[1] - times[0], times[-1] - times[1], result[0].sequences_ids[0]


class Transformers:
    def __init__(self, path, dtype, threads, context):
        import torch
        import transformers

        self.torch = torch
        self.about = f"{package_version('transformers', 'torch')}; {dtype}"
        torch.set_num_threads(threads)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(
            path, dtype={"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
        )

    def generate(self, behind, prompt, n):
        with self.torch.inference_mode():
            cache = None
            if behind:
                cache = self.model(self.torch.tensor([behind]), use_cache=True, logits_to_keep=1).past_key_values
            times, ids, step = [time.perf_counter()], [], prompt
            for _ in range(n + 1):
                out = self.model(
                    self.torch.tensor([step]), past_key_values=cache, use_cache=True, logits_to_keep=1
                )
                cache = out.past_key_values
                ids.append(int(out.logits[0, -1].argmax()))
                times.append(time.perf_counter())
                step = ids[-1:]
        return times[1] - times[0], times[-1] - times[1], ids


# Those that cannot begin behind a text.
WHOLE_PROMPTS = {"openvino-genai", "ctranslate2"}
ENGINES = {"llama.cpp": LlamaCpp, "openvino-genai": OpenVino, "ctranslate2": CTranslate2, "transformers": Transformers}


def serve(name, path, dtype, threads, context):
    """Answers requests until the input ends. What the engines print themselves goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    engine = ENGINES[name](path, dtype, threads, context)
    print(json.dumps({"about": engine.about}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        prefill, decode, ids = engine.generate(request["behind"], request["prompt"], request["generate"])
        print(json.dumps({"prefill": prefill, "decode": decode, "ids": ids}), file=answers, flush=True)
