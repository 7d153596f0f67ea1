// The one unit that holds the code of a program all of whose units are compiled with EIGENLM_EXTERN_TEMPLATES.
#ifndef EIGENLM_EXTERN_TEMPLATES
#define EIGENLM_EXTERN_TEMPLATES
#endif
#define EIGENLM_INSTANTIATE
#include "eigenlm.hpp"
