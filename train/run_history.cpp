// SPDX-License-Identifier: Apache-2.0
// Reading metrics.jsonl.
#include "train/run_history.h"

#include <limits>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/json.h"

namespace clausius {
namespace {

double number_or_nan(const Json& line, std::string_view key) {
  const Json* value = line.find(key);
  return value != nullptr && value->is_number() ? value->number()
                                                : std::numeric_limits<double>::quiet_NaN();
}

std::int64_t integer_or_0(const Json& line, std::string_view key) {
  const Json* value = line.find(key);
  return value != nullptr && value->is_integer() ? value->integer() : 0;
}

HeadTable table_or_none(const Json& line, std::string_view key) {
  const Json* value = line.find(key);
  return value != nullptr && value->is_array() ? read_head_table(*value) : HeadTable{};
}

StepRecord step_record(const Json& line) {
  StepRecord record{.step = line.at("step").integer(), .tokens = integer_or_0(line, "tokens")};
  record.loss = number_or_nan(line, "loss");
  record.lr = number_or_nan(line, "lr");
  record.grad_norm = number_or_nan(line, "grad_norm");
  record.tokens_per_second = number_or_nan(line, "tokens_per_second");
  record.step_ms = number_or_nan(line, "step_ms");
  record.fraction_of_peak = number_or_nan(line, "fraction_of_peak");
  record.peak_memory_bytes = integer_or_0(line, "peak_memory_bytes");
  record.entropy_nats = table_or_none(line, "entropy_mean");
  record.entropy_normalized = table_or_none(line, "entropy_normalized");
  if (const Json* bands = line.find("bands")) {
    for (const Json& share : bands->array()) {
      record.bands.push_back(share.is_null() ? 0.0 : share.number());
    }
  }
  if (const Json* alarms = line.find("alarms")) {
    for (const Json& alarm : alarms->array()) {
      record.alarms.push_back(alarm.text());
    }
  }
  return record;
}

template <class Record>
void drop_later(std::vector<Record>& records, std::int64_t step) {
  while (!records.empty() && records.back().step > step) {
    records.pop_back();
  }
}

void add_line(RunHistory& history, const Json& line, const std::string& source) {
  CLS_CHECK(line.is_object() && line.find("step") != nullptr, DataError, source,
            ": expected an object with a step");
  const std::int64_t step = line.at("step").integer();
  drop_later(history.steps, step);
  drop_later(history.evaluations, step);
  drop_later(history.events, step);
  if (const Json* event = line.find("event")) {
    const Json* message = line.find("message");
    history.events.push_back(
        {step, event->text(), message != nullptr && message->is_text() ? message->text() : ""});
  } else if (line.find("val_loss") != nullptr) {
    const Json* bits = line.find("val_bits_per_byte");
    history.evaluations.push_back(
        {.step = step,
         .val_loss = number_or_nan(line, "val_loss"),
         .val_bits_per_byte = bits != nullptr && bits->is_number() ? bits->number() : 0.0});
  } else if (line.find("loss") != nullptr) {
    history.steps.push_back(step_record(line));
  }
}

}  // namespace

RunHistory read_run_history(const std::filesystem::path& metrics) {
  const std::string text = read_file(metrics);
  RunHistory history;
  std::size_t begin = 0;
  std::int64_t number = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos;
       begin = end + 1, end = text.find('\n', begin)) {
    ++number;
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    const std::string source = concat(metrics.string(), ":", number);
    add_line(history, Json::parse(line, source), source);
  }
  return history;
}

}  // namespace clausius
