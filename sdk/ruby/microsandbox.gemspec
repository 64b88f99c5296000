# frozen_string_literal: true

require_relative "lib/microsandbox/version"

# A source gem, which compiles its extension; with MSB_GEM_ABIS, set by
# package.sh in a folder of its own, the gem of this platform, which carries
# the extension for these versions of Ruby, the library and its parts.
abis = ENV.fetch("MSB_GEM_ABIS", "").split

Gem::Specification.new do |spec|
  spec.name = "microsandbox"
  spec.version = Microsandbox::VERSION
  spec.authors = ["microsandbox"]
  spec.summary = "Run commands in their own small virtual machines"
  spec.description = "Sandboxes that are virtual machines, from Ruby: start one in about a second, run commands " \
                     "in it, copy files, publish ports, keep secrets out of it."
  spec.homepage = "https://github.com/microsandbox/microsandbox"
  spec.license = "Apache-2.0"
  spec.require_paths = ["lib"]
  spec.metadata = { "rubygems_mfa_required" => "true" }
  spec.files = Dir.chdir(__dir__) do
    Dir["lib/**/*.rb", "sig/**/*.rbs", "README.md", "LICENSE"]
  end
  if abis.empty?
    spec.required_ruby_version = ">= 3.1"
    spec.extensions = ["ext/microsandbox/extconf.rb"]
    spec.files += Dir.chdir(__dir__) { Dir["ext/**/*.{c,h,inc,rb}"] }
  else
    last = abis.max_by { |abi| Gem::Version.new(abi) }
    spec.platform = Gem::Platform.local
    spec.required_ruby_version = [">= #{abis.min_by { |abi| Gem::Version.new(abi) }}", "< #{last.succ}.dev"]
    spec.files += Dir.chdir(__dir__) { Dir["lib/microsandbox/*/*.so", "lib/microsandbox/runtime/**/*"] }
    spec.files.select! { |file| File.file?(File.join(__dir__, file)) }
  end
end
