#!/usr/bin/env ruby
# frozen_string_literal: true

# Write ext/microsandbox/generated.inc from sdk/api.json: the list of functions,
# the members of each struct, and the constants. With --check: fail when the
# file is not what would be written.

require "json"

TOP = File.expand_path("..", __dir__)
OUT = File.join(TOP, "ext/microsandbox/generated.inc")
API = JSON.parse(File.read(File.join(TOP, "../api.json")))
STRUCTS = API["structs"].to_h { |s| [s["name"], s] }

PLAIN = {
  "int32_t" => "KIND_I32", "uint32_t" => "KIND_U32", "uint16_t" => "KIND_U16",
  "int64_t" => "KIND_I64", "uint64_t" => "KIND_U64", "size_t" => "KIND_SIZE",
  "const char *" => "KIND_STRING", "const char *const *" => "KIND_STRINGS"
}.freeze
# Handles stand in options by themselves; functions are set by the calls.
IMAGE = "const struct msb_image *"
NOT_ASKED = /\Amsb_\w+_fn\z|\Avoid \*\z/.freeze

def lengths_of(struct)
  names = struct["members"].map { |m| m["name"] }
  struct["members"].select { |m| m["type"] == "const void *" }.to_h do |m|
    [m["name"], names.find { |n| n == "#{m["name"]}_len" || (m["name"] == "data" && n == "len") }]
  end
end

def kind_of(type)
  return [PLAIN[type], nil] if PLAIN[type]
  return ["KIND_IMAGE", nil] if type == IMAGE

  case type
  when /\Aconst struct (\w+) \*const \*\z/ then ["KIND_LIST", Regexp.last_match(1)]
  when /\Aconst struct (\w+) \*\z/ then ["KIND_POINTER", Regexp.last_match(1)]
  when /\Astruct (\w+)\z/ then ["KIND_INLINE", Regexp.last_match(1)]
  when /\Achar\[\d+\]\z/ then ["KIND_CHARS", nil]
  else raise "no kind for #{type}"
  end
end

def member(struct, member, lengths)
  name = member["name"]
  at = ->(n) { "offsetof(struct #{struct["name"]}, #{n})" }
  if lengths[name]
    return %(\t{"#{name}", KIND_BYTES, #{at[name]}, #{at[lengths[name]]}, NULL},)
  end

  kind, other = kind_of(member["type"])
  %(\t{"#{name}", #{kind}, #{at[name]}, 0, #{other ? "&#{other}_shape" : "NULL"}},)
end

def shape(struct)
  lengths = lengths_of(struct)
  members = struct["members"].reject do |m|
    m["name"] == "size" || lengths.value?(m["name"]) || m["type"] =~ NOT_ASKED
  end
  sized = struct["members"].first["name"] == "size"
  name = struct["name"]
  ["static const struct member #{name}_members[] = {",
   *members.map { |m| member(struct, m, lengths) },
   "\t{NULL, 0, 0, 0, NULL},", "};",
   "static const struct shape #{name}_shape = {",
   %(\t"#{name}", sizeof(struct #{name}), #{sized}, #{name}_members,), "};",
   "_Static_assert(sizeof(struct #{name}) == #{struct["size"]}, \"#{name}\");",
   *struct["members"].map do |m|
     "_Static_assert(offsetof(struct #{name}, #{m["name"]}) == #{m["offset"]}, " \
       "\"#{name}.#{m["name"]}\");"
   end]
end

# Those that others hold come before them.
def ordered
  seen = []
  visit = lambda do |s|
    s["members"].each do |m|
      other = STRUCTS[m["type"][/struct (\w+)/, 1]]
      visit[other] if other && other != s
    end
    seen << s unless seen.include?(s)
  end
  API["structs"].each(&visit)
  seen
end

def text
  constants = API["enums"].map { |e| e["values"] }.reduce({}, :merge).merge(API["constants"])
  [
    "/* Made by gen/generate.rb from sdk/api.json. Do not edit. */",
    "/* clang-format off */",
    "#define FUNCTIONS(X) \\", API["functions"].map { |f| "\tX(#{f["name"]})" }.join(" \\\n"), "",
    "#ifdef WITH_SHAPES", ordered.flat_map { |s| shape(s) },
    "static const struct shape *const shapes[] = {",
    ordered.map { |s| "\t&#{s["name"]}_shape," }, "\tNULL,", "};",
    "static const struct constant { const char *name; uint64_t value; } constants[] = {",
    constants.map { |n, v| %(\t{"#{n}", #{v}ull},) }, "\t{NULL, 0},", "};", "#endif", ""
  ].flatten.join("\n")
end

if ARGV == ["--check"]
  abort "generated.inc is not what api.json says: ruby gen/generate.rb" if File.read(OUT) != text
else
  File.write(OUT, text)
end
