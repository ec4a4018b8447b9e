// SPDX-License-Identifier: Apache-2.0
// Terminal and log file.
#include "train/log.h"

#include <ctime>
#include <iomanip>
#include <iostream>

#include "core/error.h"

namespace clausius {

void Log::open(const std::filesystem::path& file) {
  if (speaks_) {
    file_.open(file, std::ios::app);
    CLS_CHECK(file_.is_open(), IoError, file.string(), ": cannot be opened for writing");
  }
}

void Log::line(std::string_view text) {
  if (speaks_) {
    std::cout << text << std::endl;  // NOLINT(performance-avoid-endl): a live log
    record(text);
  }
}

void Log::warn(std::string_view text) {
  if (speaks_) {
    std::cerr << "clausius: warning: " << text << std::endl;  // NOLINT(performance-avoid-endl)
    record(text);
  }
}

void Log::record(std::string_view text) {
  if (file_.is_open()) {
    const std::time_t now = std::time(nullptr);
    std::tm utc{};
    gmtime_r(&now, &utc);
    file_ << std::put_time(&utc, "%FT%TZ ") << text << std::endl;  // NOLINT(performance-avoid-endl)
  }
}

}  // namespace clausius
