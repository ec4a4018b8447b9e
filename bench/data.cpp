// SPDX-License-Identifier: Apache-2.0
// The data room: text to token store, opening a store, and rows a second, against the copy bandwidth of the same run.
#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

#include <benchmark/benchmark.h>

#include "bench/ceilings.h"
#include "data/text_store.h"
#include "data/token_dataset.h"
#include "data/token_store.h"
#include "data/tokenizer/byte.h"

namespace clausius {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kTextBytes = std::size_t{64} << 20;

// 64 MiB of lines, a blank line after every twentieth, in plain and jsonl; removed at exit.
class Corpus {
 public:
  Corpus() : folder_(fs::temp_directory_path() / ("clausius_bench_" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
    std::ofstream plain(folder_ / "text.txt");
    std::ofstream jsonl(folder_ / "text.jsonl");
    const std::string line =
        "In the beginning was the word, and the word was with the benchmark of the data room.";
    for (std::size_t i = 0; i * (line.size() + 1) < kTextBytes; ++i) {
      plain << line << (i % 20 == 0 ? "\n\n" : "\n");
      jsonl << "{\"text\": \"" << line << "\"}\n";
    }
  }
  ~Corpus() { fs::remove_all(folder_); }
  Corpus(const Corpus&) = delete;
  Corpus& operator=(const Corpus&) = delete;
  [[nodiscard]] fs::path operator/(const char* name) const { return folder_ / name; }

 private:
  fs::path folder_;
};

const Corpus& corpus() {
  static const Corpus files;
  return files;
}

void encode(benchmark::State& state, const char* file, DocumentRule documents) {
  const fs::path store = corpus() / "encode.tokens";
  const double seconds = bench::fastest(state, [&] {
    fs::remove_all(store);
    write_text_store(store, {corpus() / file}, {.text = {.documents = documents}}, ByteTokenizer());
  });
  bench::report_bytes(state, static_cast<double>(fs::file_size(corpus() / file)), seconds);
}
BENCHMARK_CAPTURE(encode, plain, "text.txt", DocumentRule::kFile)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, lines, "text.txt", DocumentRule::kLine)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, jsonl, "text.jsonl", DocumentRule::kFile)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

fs::path store_of(DocumentRule documents) {
  return cached_text_store({corpus() / "text.txt"}, {.text = {.documents = documents}},
                           ByteTokenizer(), {});
}

void open_store(benchmark::State& state) {
  const fs::path store = store_of(DocumentRule::kBlankLine);
  const double seconds =
      bench::fastest(state, [&] { benchmark::DoNotOptimize(TokenStore::open(store)); });
  bench::report_bytes(state, static_cast<double>(fs::file_size(store / "shard_00000.bin")),
                      seconds);
}
BENCHMARK(open_store)->UseRealTime()->Unit(benchmark::kMillisecond);

// Bytes: what is read from the store and written to the batch.
void read_rows(benchmark::State& state, Packing packing) {
  constexpr std::int64_t kRows = 64;
  constexpr std::int64_t kLength = 1024;
  const TokenDataset data(
      {.train = {{.store = TokenStore::open(store_of(DocumentRule::kBlankLine))}},
       .packing = packing,
       .context_length = kLength});
  std::int64_t sample = 0;
  const double seconds = bench::fastest(state, [&] {
    benchmark::DoNotOptimize(data.train().read(sample, kRows));
    sample += kRows;
  });
  bench::report_bytes(state, kRows * kLength * (2.0 + 3.0 * 4.0), seconds);
  state.counters["tokens_per_second"] = static_cast<double>(kRows * kLength) / seconds;
}
BENCHMARK_CAPTURE(read_rows, documents, Packing::kDocuments)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(read_rows, chunks, Packing::kChunks)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(read_rows, stream, Packing::kStream)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace clausius
