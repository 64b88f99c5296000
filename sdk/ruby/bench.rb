# frozen_string_literal: true

# What a call costs: for each line of standard input, which is a count, exec("true") that often in
# the sandbox MSB_BENCH_SANDBOX, which runs; answered by a line {"exec_us": [...]}.

require "json"
require "microsandbox"

def microseconds
  start = Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
  yield
  (Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond) - start) / 1000.0
end

$stdout.sync = true
sandbox = Microsandbox::Sandbox.open(ENV.fetch("MSB_BENCH_SANDBOX"))
$stdin.each_line do |line|
  puts JSON.generate(exec_us: Array.new(Integer(line)) { microseconds { sandbox.exec("true") } })
end
