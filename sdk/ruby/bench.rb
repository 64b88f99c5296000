# frozen_string_literal: true

# Times of exec("true") in the sandbox MSB_BENCH_SANDBOX, as JSON.

require "json"
require "microsandbox"

COUNT = Integer(ENV.fetch("MSB_BENCH_COUNT", "200"))
sandbox = Microsandbox::Sandbox.open(ENV.fetch("MSB_BENCH_SANDBOX"))

def microseconds
  start = Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
  yield
  (Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond) - start) / 1000.0
end

10.times { sandbox.exec("true") }
puts JSON.generate(exec_us: Array.new(COUNT) { microseconds { sandbox.exec("true") } })
