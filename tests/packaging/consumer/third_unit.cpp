// Loads a model, too: without compiled mode, this unit alone would hold a copy of nearly everything.
#include <eigenlm/eigenlm.hpp>

std::size_t vocabulary_of(const char* model) { return eigenlm::load(model).config().vocab_size; }
