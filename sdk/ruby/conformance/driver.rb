# frozen_string_literal: true

# The driver of sdk/conformance for Ruby: see ../../conformance/README.md.

require "json"
require_relative "calls"

# What stops a request, by Thread#raise.
class Cancelled < StandardError; end

# Requests as they come, each in a thread; answers as they are ready.
class Driver
  def initialize(input, output)
    @input = input
    @output = output
    @calls = Calls.new
    @writing = Mutex.new
    @threads = {}
  end

  def run
    Thread.report_on_exception = false
    while (line = @input.gets)
      request = JSON.parse(line)
      request["call"] == "cancel" ? cancel(request) : start(request)
    end
    @calls.close
  end

  private

  def cancel(request)
    @threads[request["args"]["id"]]&.raise(Cancelled)
    answer(request["id"], result: {})
  end

  # The thread is on the list before it can be cancelled, and is cancelled
  # while it works only.
  def start(request)
    id = request["id"]
    @threads[id] = Thread.new do
      Thread.handle_interrupt(Cancelled => :never) do
        reply = Thread.handle_interrupt(Cancelled => :immediate) { work(request) }
        answer(id, **reply)
      rescue Cancelled
        answer(id, error: { code: "cancelled", errno: 0, message: "cancelled", hint: "", type: "Cancelled" })
      end
    end
  end

  def work(request)
    { result: @calls.make(request["call"], request["args"] || {}) }
  rescue Microsandbox::Error => e
    { error: { code: e.code_name, errno: e.errno, message: e.message, hint: e.hint, type: e.class.name } }
  rescue TypeError, ArgumentError, RangeError => e
    { error: { code: "invalid", errno: 0, message: e.message, hint: "", type: e.class.name } }
  end

  def answer(id, **reply)
    line = JSON.generate({ id: id, **reply })
    @writing.synchronize do
      @output.puts(line)
      @output.flush
    end
  end
end

Driver.new($stdin, $stdout).run
