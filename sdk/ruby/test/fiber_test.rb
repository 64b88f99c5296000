# frozen_string_literal: true

require_relative "helper"

# The least that a fiber scheduler is: it waits for descriptors and times.
class Scheduler
  def initialize
    @readable = {}
    @times = {}
    @ready = Thread::Queue.new
  end

  def io_wait(io, _events, timeout)
    @readable[Fiber.current] = io
    @times[Fiber.current] = now + timeout if timeout
    Fiber.yield
  ensure
    @readable.delete(Fiber.current)
    @times.delete(Fiber.current)
  end

  def kernel_sleep(duration = nil)
    @times[Fiber.current] = now + duration
    Fiber.yield
  ensure
    @times.delete(Fiber.current)
  end

  def block(_blocker, timeout = nil)
    @times[Fiber.current] = now + timeout if timeout
    Fiber.yield
  ensure
    @times.delete(Fiber.current)
  end

  def unblock(_blocker, fiber) = @ready << fiber

  def fiber(&block) = Fiber.new(blocking: false, &block).tap(&:resume)

  def close
    step until @readable.empty? && @times.empty? && @ready.empty?
  end

  private

  def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

  def step
    @ready.pop.resume until @ready.empty?
    limit = @times.values.min&.then { |time| [time - now, 0].max }
    readable, = IO.select(@readable.values.uniq, nil, nil, limit || 0.1)
    woken = readable ? @readable.select { |_, io| readable.include?(io) }.keys : []
    woken.each { |fiber| fiber.resume(IO::READABLE) }
    (@times.select { |_, time| time <= now }.keys - woken).each { |fiber| fiber.resume(false) if fiber.alive? }
  end
end

# No event loop is blocked: calls of many fibers of one thread wait together.
class FiberTest < Minitest::Test
  include Helper

  def test_fibers_wait_together
    box = sandbox
    seen = []
    Thread.new do
      Fiber.set_scheduler(Scheduler.new)
      4.times do |i|
        Fiber.schedule do
          seen << :begun
          seen << box.shell("sleep 1; echo #{i}").stdout
        end
      end
      Fiber.schedule { box.exec_stream("sh", "-c", "sleep 1; echo s") { |e| seen << e.text if e.stdout? } }
      Fiber.schedule { seen << :begun }
    end.join
    assert_equal [:begun] * 5, seen.first(5)
    assert_equal %W[0\n 1\n 2\n 3\n s\n], seen.drop(5).sort
  end
end
