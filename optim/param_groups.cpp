// SPDX-License-Identifier: Apache-2.0
// Matching parameters with groups.
#include "optim/param_groups.h"

#include <algorithm>

#include "core/error.h"

namespace clausius {

bool glob_matches(std::string_view glob, std::string_view name) {
  if (glob.empty()) {
    return name.empty();
  }
  if (glob[0] == '*') {
    return glob_matches(glob.substr(1), name) ||
           (!name.empty() && glob_matches(glob, name.substr(1)));
  }
  return !name.empty() && (glob[0] == '?' || glob[0] == name[0]) &&
         glob_matches(glob.substr(1), name.substr(1));
}

namespace {

bool group_matches(const ParamGroupConfig& group, const Parameter& parameter) {
  const bool named =
      std::any_of(group.match.begin(), group.match.end(),
                  [&](const std::string& glob) { return glob_matches(glob, parameter.path()); });
  return named && std::any_of(group.role.begin(), group.role.end(), [&](GroupRole role) {
           return role == GroupRole::kAny || word_of(role) == name_of(parameter.role());
         });
}

void append(std::vector<UpdateRange>& ranges, const UpdateRange& next) {
  if (!ranges.empty() && ranges.back().end == next.begin &&
      ranges.back().lr_scale == next.lr_scale && ranges.back().weight_decay == next.weight_decay) {
    ranges.back().end = next.end;
  } else {
    ranges.push_back(next);
  }
}

}  // namespace

std::vector<UpdateRange> update_ranges(ParameterStore& parameters,
                                       const std::vector<ParamGroupConfig>& groups,
                                       double weight_decay) {
  std::vector<int> matches(groups.size(), 0);
  std::vector<UpdateRange> ranges;
  const ParamGroupConfig rest;
  for (std::size_t p = 0; p < parameters.parameters().size(); ++p) {
    Parameter& parameter = parameters.parameters()[p];
    const ParamGroupConfig* group = &rest;
    for (std::size_t g = groups.size(); g-- > 0;) {
      if (group_matches(groups[g], parameter)) {
        ++matches[g];
        group = &groups[g];
      }
    }
    parameter.set_frozen(group->frozen);
    if (group->frozen) {
      continue;
    }
    const bool decays = is_matmul_operand(parameter.role()) && parameter.role() != Role::kPosition;
    const double decay = group->weight_decay.value_or(decays ? weight_decay : 0.0);
    // The zero padding between parameters belongs to the range before it: it stays zero under every optimizer.
    const bool last = p + 1 == parameters.parameters().size();
    const std::int64_t end = last ? parameters.size() : parameters.parameters()[p + 1].offset();
    std::int64_t begin = parameter.offset();
    const auto until = [&](std::int64_t border, double factor) {
      const std::int64_t to = border == parameter.numel() ? end : parameter.offset() + border;
      if (begin < to) {
        append(ranges,
               {.begin = begin, .end = to, .lr_scale = group->lr_scale, .weight_decay = factor});
        begin = to;
      }
    };
    for (const FlatRange& undecayed : parameter.undecayed()) {
      until(undecayed.begin, decay);
      until(undecayed.end, group->weight_decay.value_or(0.0));
    }
    until(parameter.numel(), decay);
  }
  for (std::size_t g = 0; g < groups.size(); ++g) {
    CLS_CHECK(matches[g] > 0, ConfigError, "optimizer.groups.", g,
              " matches no parameter (match: ", groups[g].match[0],
              "); `clausius inspect` prints the names");
  }
  return ranges;
}

}  // namespace clausius
