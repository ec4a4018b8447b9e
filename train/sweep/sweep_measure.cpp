// SPDX-License-Identifier: Apache-2.0
// Reductions over steps and heads.
#include "train/sweep/sweep_measure.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>

#include "core/error.h"
#include "core/io/file.h"

namespace clausius {
namespace {

std::int64_t step_of(const Json& line) {
  const Json* step = line.find("step");
  return step != nullptr && step->is_integer() ? step->integer() : 0;
}

// Every number of a value, however deep its lists.
void collect(const Json& value, std::vector<double>& numbers) {
  if (value.is_number()) {
    numbers.push_back(value.number());
  } else if (value.is_array()) {
    for (const Json& item : value.array()) {
      collect(item, numbers);
    }
  }
}

double mean_of_all(const std::vector<double>& numbers) {
  double sum = 0;
  for (const double number : numbers) {
    sum += number;
  }
  return sum / static_cast<double>(numbers.size());
}

// The first step of the window. Steps are those of the run; tokens as they went by on average.
std::int64_t window_begin(const Measure& measure, const std::vector<Json>& lines) {
  std::int64_t last_step = 0;
  double tokens_per_step = 0;
  for (const Json& line : lines) {
    last_step = std::max(last_step, step_of(line));
    const Json* tokens = line.find("tokens");
    if (tokens != nullptr && tokens->is_number() && step_of(line) > 0) {
      tokens_per_step = tokens->number() / static_cast<double>(step_of(line));
    }
  }
  const std::int64_t length = measure.last->in_steps(
      {.steps = last_step, .steps_per_epoch = 0, .tokens_per_step = tokens_per_step});
  return last_step - std::max<std::int64_t>(length, 1) + 1;
}

bool crosses(const Measure& measure, double value) {
  return measure.above ? value > *measure.above : value < *measure.below;
}

}  // namespace

std::vector<Json> read_metric_lines(const std::filesystem::path& metrics) {
  const std::string text = read_file(metrics);
  std::vector<Json> lines;
  std::size_t begin = 0;
  std::int64_t number = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos;
       begin = end + 1, end = text.find('\n', begin)) {
    Json line = Json::parse(std::string_view(text).substr(begin, end - begin),
                            concat(metrics.string(), ":", ++number));
    while (!lines.empty() && step_of(lines.back()) > step_of(line)) {
      lines.pop_back();
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

const Json* find_metric(const Json& line, std::string_view key) {
  const Json* value = &line;
  while (value != nullptr && !key.empty()) {
    const std::size_t dot = std::min(key.find('.'), key.size());
    const std::string_view step = key.substr(0, dot);
    key.remove_prefix(std::min(dot + 1, key.size()));
    if (value->is_array()) {
      std::size_t index = 0;
      const auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), index);
      const bool valid =
          error == std::errc() && end == step.data() + step.size() && index < value->array().size();
      value = valid ? &value->array()[index] : nullptr;
    } else {
      value = value->is_object() ? value->find(step) : nullptr;
    }
  }
  return value;
}

std::optional<double> take_measure(const Measure& measure, const std::vector<Json>& lines) {
  const std::int64_t begin =
      measure.last ? window_begin(measure, lines) : std::numeric_limits<std::int64_t>::min();
  std::optional<double> result;
  double sum = 0;
  double count = 0;
  for (const Json& line : lines) {
    const Json* value = find_metric(line, measure.metric);
    std::vector<double> numbers;
    if (value != nullptr && step_of(line) >= begin) {
      collect(*value, numbers);
    }
    if (numbers.empty()) {
      continue;
    }
    const auto [low, high] = std::minmax_element(numbers.begin(), numbers.end());
    switch (measure.take) {
      case Take::kLast:
        result = mean_of_all(numbers);
        break;
      case Take::kMean:
        sum += mean_of_all(numbers);
        count += 1;
        result = sum / count;
        break;
      case Take::kMin:
        result = std::min(result.value_or(*low), *low);
        break;
      case Take::kMax:
        result = std::max(result.value_or(*high), *high);
        break;
      case Take::kFirstStep:
        if (std::any_of(numbers.begin(), numbers.end(),
                        [&](double number) { return crosses(measure, number); })) {
          return static_cast<double>(step_of(line));
        }
        break;
    }
  }
  return result;
}

std::vector<std::string> metric_keys(const std::vector<Json>& lines) {
  std::set<std::string> keys;
  for (const Json& line : lines) {
    for (const auto& [key, value] : line.object()) {
      if (value.is_object()) {
        for (const auto& [inner, number] : value.object()) {
          keys.insert(concat(key, ".", inner));
        }
      } else if (value.is_number() || value.is_array()) {
        keys.insert(key);
      }
    }
  }
  return {keys.begin(), keys.end()};
}

}  // namespace clausius
