// SPDX-License-Identifier: Apache-2.0
// Keys of text and token sources.
#include "data/language_config.h"

namespace clausius {
namespace {
constexpr double kValidationRatio = 0.01;
}

void LanguageConfig::visit(ConfigVisitor& v) {
  v.required("train", train,
             "what is trained on: a path, a list of paths, or a mixture [{path, weight}]");
  v.field("validation", validation, "sources of their own for evaluation");
  v.derived(
      "validation_ratio", validation_ratio, [this] { return validation ? 0.0 : kValidationRatio; },
      "0.01; 0 with validation",
      "share of the training tokens set aside for evaluation, as whole documents", zero_to_one);
  v.required("context_length", context_length, "tokens of a row", at_least(2));
  v.field("packing", packing,
          "documents: they share rows but neither attention nor positions; chunks: full rows of "
          "one document, tails "
          "dropped; stream: one endless text");
  v.field("shuffle", shuffle, "rows in a new order every epoch");
  v.field("prefetch", prefetch, "steps read ahead", non_negative);
}

void LanguageConfig::validate(const ConfigCheck& check) const {
  check_weights(check, "train", train);
  if (validation) {
    check_weights(check, "validation", *validation);
    check.that(parts_of(*validation).size() == 1, "validation",
               "weights have no effect here: all of it is evaluated");
    check.that(validation_ratio.value_or(0.0) == 0.0, "validation_ratio",
               "validation has sources of its own; take one of the two away");
  }
}

DataTraits LanguageConfig::facts() const {
  return {.context_length = context_length,
          .packs_documents = packing == Packing::kDocuments,
          .has_validation = validation || validation_ratio.value_or(kValidationRatio) > 0.0,
          .prefetch = prefetch};
}

TokenDatasetPlan LanguageConfig::plan(const DataContext& context) const {
  return {.validation_ratio = validation_ratio.value_or(validation ? 0.0 : kValidationRatio),
          .packing = packing,
          .context_length = context_length,
          .shuffle = shuffle,
          .seed = context.seed};
}

}  // namespace clausius
