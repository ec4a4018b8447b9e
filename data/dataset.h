// SPDX-License-Identifier: Apache-2.0
// Dataset: what every data kind is to the rest of the program.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/batch.h"
#include "core/registry.h"
#include "data/tokenizer/tokenizer.h"

namespace clausius {

/// A sequence of samples (rows, images, bags) that can be read at any place. Sample i is a pure function of i, so the
/// number of samples seen is the whole state of reading, whatever the ranks, threads and micro-batches. Thread-safe.
class SampleSequence {
 public:
  SampleSequence() = default;
  SampleSequence(const SampleSequence&) = delete;
  SampleSequence& operator=(const SampleSequence&) = delete;
  virtual ~SampleSequence() = default;

  /// Samples of one pass. A training sequence goes on for ever; an evaluation sequence ends there.
  [[nodiscard]] virtual std::int64_t epoch_size() const = 0;
  /// Samples [first, first + count).
  /// Errors:  DataError, IoError.
  [[nodiscard]] virtual Batch read(std::int64_t first, std::int64_t count) const = 0;
};

/// What a model must know of its data; members that do not apply are 0.
struct DataFacts {
  std::int64_t vocab_size = 0;
  /// Tokens of a sample.
  std::int64_t context_length = 0;
  std::int64_t train_samples = 0;
  std::int64_t validation_samples = 0;
  /// Equal for equal data: what a resumed run compares with its checkpoint.
  std::string fingerprint{};
};

/// Training and validation samples. Kinds register themselves by name (recipe key data.kind). Constructing one opens
/// and checks its files, and builds what has to be built once (a token store from text) beside them or in the cache
/// folder. Ranks may construct at the same time: the first of a host builds under a lock, the others wait for it;
/// letting rank 0 go first, before a barrier, also serves folders without locks.
class Dataset {
 public:
  Dataset() = default;
  Dataset(const Dataset&) = delete;
  Dataset& operator=(const Dataset&) = delete;
  virtual ~Dataset() = default;

  [[nodiscard]] virtual const DataFacts& facts() const = 0;
  [[nodiscard]] virtual const SampleSequence& train() const = 0;
  /// Null without validation data. Any first part of it is a fair sample of the whole.
  [[nodiscard]] virtual const SampleSequence* validation() const = 0;
  /// Null where samples are not text, or the tokenizer is unknown.
  [[nodiscard]] virtual const Tokenizer* tokenizer() const = 0;
  /// One line for the log.
  [[nodiscard]] virtual std::string summary() const = 0;
};

using Announce = std::function<void(const std::string& message)>;

/// What a data set needs besides its knobs.
struct DataContext {
  /// Of the data order.
  std::uint64_t seed = 0;
  /// Where files are made that cannot lie beside their sources: the run directory.
  std::filesystem::path cache_folder{};
  /// tokenizer.json of the checkpoint that a run starts from, which then takes the place of data.tokenizer.
  std::string tokenizer_json{};
  /// Told, before it is done, what takes long; may be empty.
  Announce announce{};
};

/// What a recipe can be checked against before any file is opened.
struct DataTraits {
  /// Tokens of a sample; 0 for samples that are not rows of tokens.
  std::int64_t context_length = 0;
  /// Rows hold several documents: every mixer must keep them apart.
  bool packs_documents = false;
  /// Without epochs.
  bool endless = false;
  /// Some samples are set aside for evaluation.
  bool has_validation = false;
  /// Batches read ahead.
  std::int64_t prefetch = 2;
  /// Tokens there are, where the recipe alone says it; 0: the files do.
  std::int64_t vocab_size = 0;
};

template <>
struct RegistryTraits<Dataset> {
  static constexpr std::string_view kFamily = "data";
  using Context = NoContext;
  using Make = std::unique_ptr<Dataset>(const DataContext&);
  using Facts = DataTraits;
};

}  // namespace clausius
