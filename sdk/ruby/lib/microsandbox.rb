# frozen_string_literal: true

# Run commands in their own small virtual machines.
#
#   require "microsandbox"
#
#   Microsandbox::Sandbox.with(image: "alpine") do |sandbox|
#     puts sandbox.exec("echo", ["hello"]).stdout
#   end
#
# Calls that wait let other threads run, and end early by whatever ends a wait
# in Ruby: Thread#raise, Thread#kill, Timeout.timeout, Ctrl-C. What they were
# doing is then cancelled.
module Microsandbox
end

require "microsandbox/version"
require "microsandbox/errors"
begin
  # A platform gem has one for each version of Ruby.
  require "microsandbox/#{RUBY_VERSION[/\A\d+\.\d+/]}/microsandbox"
rescue LoadError
  require "microsandbox/microsandbox"
end
require "microsandbox/library"
require "microsandbox/value"
require "microsandbox/convert"
require "microsandbox/home"
require "microsandbox/mount"
require "microsandbox/patch"
require "microsandbox/network"
require "microsandbox/secret"
require "microsandbox/image"
require "microsandbox/volume"
require "microsandbox/snapshot"
require "microsandbox/logs"
require "microsandbox/metrics"
require "microsandbox/exec"
require "microsandbox/exec_options"
require "microsandbox/fs"
require "microsandbox/fs_stream"
require "microsandbox/create_options"
require "microsandbox/record"
require "microsandbox/sandbox"
require "microsandbox/builder"
require "microsandbox/host"
