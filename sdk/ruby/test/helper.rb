# frozen_string_literal: true

require "minitest/autorun"
require "rbconfig"
require "socket"
require "timeout"
require "tmpdir"
require "microsandbox"

IMAGE = ENV.fetch("MSB_TEST_IMAGE")

# What tests share: one small machine, made when the first one needs it.
module Helper
  include Microsandbox

  def self.sandbox
    @sandbox ||= Microsandbox::Sandbox.create(image: IMAGE, memory: 64)
  end

  Minitest.after_run { @sandbox&.close }

  def sandbox = Helper.sandbox

  # Another Ruby with the same load path: [output, exit status].
  def ruby(script, env = {})
    paths = $LOAD_PATH.grep(%r{sdk[/-]ruby}).flat_map { |path| ["-I", path] }
    out = IO.popen([env, RbConfig.ruby, *paths, "-e", script, { err: %i[child out] }], &:read)
    [out, $?.exitstatus] # rubocop:disable Style/SpecialGlobalVars
  end

  def seconds
    start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    yield
    Process.clock_gettime(Process::CLOCK_MONOTONIC) - start
  end

  def eventually(limit = 60)
    until (value = yield)
      flunk "not within #{limit} s" if (limit -= 0.05).negative?
      sleep 0.05
    end
    value
  end

  def alive?(pid)
    !File.read("/proc/#{pid}/stat").match?(/\) [ZX] /)
  rescue Errno::ENOENT, Errno::ESRCH
    false
  end
end
