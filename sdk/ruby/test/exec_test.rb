# frozen_string_literal: true

require_relative "helper"

class ExecTest < Minitest::Test
  include Helper

  def test_output
    output = sandbox.exec("sh", ["-c", "echo out; echo err >&2; exit 3"])
    assert_equal ["out\n", "err\n", 3, nil, false],
                 [output.stdout, output.stderr, output.exit_code, output.signal, output.success?]
    assert_equal Encoding::UTF_8, output.stdout.encoding
    assert_equal [137, 9], sandbox.shell("kill -9 $$").then { |o| [o.exit_code, o.signal] }
    assert_equal "\xFF\0x".b, sandbox.exec("printf", '\377\000x').stdout_bytes
  end

  def test_options
    assert_equal "/usr\n", sandbox.exec("pwd", cwd: "/usr").stdout
    assert_equal "me\n", sandbox.shell("echo $WHO", env: { "WHO" => "me" }).stdout
    assert_equal "65534\n", sandbox.exec("id", "-u", user: 65_534).stdout
    assert_equal "77\n", sandbox.shell("ulimit -n", rlimits: { nofile: 77 }).stdout
    assert_equal "from here", sandbox.exec("cat", stdin: "from here").stdout
    assert_equal "an IO", sandbox.exec("cat", stdin: StringIO.new("an IO")).stdout
    assert_match(/tty/, sandbox.shell("test -t 1 && echo tty", tty: true).stdout)
    assert sandbox.shell("yes | head -c 9999", max: 100).stdout_truncated?
  end

  def test_bad_arguments
    assert_raises(TypeError) { sandbox.exec(7) }
    assert_raises(TypeError) { sandbox.exec("echo", [7]) }
    assert_raises(InvalidConfigError) { sandbox.exec("a\0b") }
    assert_raises(ArgumentError) { sandbox.exec("true", colour: 1) }
    assert_raises(InvalidConfigError) { sandbox.exec("true", timeout: -1) }
    assert_raises(TypeError) { sandbox.exec("true", timeout: "1") }
    assert_raises(InvalidConfigError) { sandbox.exec("true", rows: 70_000) }
  end

  def test_what_never_ran
    error = assert_raises(ExecFailedError) { sandbox.exec("no-such-program") }
    assert_equal Errno::ENOENT::Errno, error.errno
    error = assert_raises(ExecFailedError) { sandbox.exec_stream("no-such-program") { |event| event } }
    assert_equal %w[exec exec], [error.code_name, error.stage]
  end

  def test_time_limit_keeps_what_was_written
    # A busy host may need longer for the first word.
    said = [0.5, 5, 30].lazy.map do |limit|
      assert_raises(ExecTimeoutError) { sandbox.shell("echo early; sleep 100", timeout: limit) }.output.stdout
    end
    assert_equal "early\n", said.find { |text| text != "" }
    error = assert_raises(ExecTimeoutError) { sandbox.exec_stream("sleep", "100", timeout: 0.3) { |event| event } }
    assert_equal "timeout", error.code_name
  end

  def test_events
    events = []
    code = sandbox.exec_stream("sh", "-c", "echo a; sleep 0.1; echo b >&2; exit 4") { |event| events << event }
    assert_equal [4, %i[started stdout stderr exited]], [code, events.map(&:kind)]
    assert_operator events.first.pid, :>, 1
    assert_equal ["a\n", "b\n", 4], [events[1].text, events[2].text, events[3].exit_code]
  end

  def test_a_handle
    handle = sandbox.exec_stream("cat", stdin: :pipe)
    handle.stdin << "x" * 3_000_000
    handle.stdin.close
    assert_equal 3_000_000, handle.collect.stdout_bytes.bytesize
    assert_nil handle.next_event
    assert handle.ended?
  ensure
    handle.close
  end

  def test_signals_and_sizes
    handle = sandbox.exec_stream("sh", "-c", "trap 'echo caught; exit 9' USR1; echo ready; while :; do sleep 0.05; done")
    assert_equal "ready\n", handle.lazy.select(&:stdout?).first.text
    assert_nil handle.next_event(timeout: 0)
    assert_raises(TimeoutError) { handle.wait(timeout: 0.05) }
    handle.signal(:USR1)
    assert_equal 9, handle.wait
    handle.close
    tty = sandbox.exec_stream("sh", "-c", "read x; stty size", stdin: :pipe, tty: true, rows: 10, cols: 20)
    tty.resize(33, 44)
    tty.stdin.puts("go")
    assert_match(/33 44/, tty.collect.stdout)
  end

  # One reads, one writes, the window is full in between.
  def test_reader_and_writer_are_two_threads
    handle = sandbox.exec_stream("cat", stdin: :pipe)
    bytes = 0
    reader = Thread.new { handle.each { |event| bytes += event.data.bytesize if event.stdout? } }
    20.times { handle.write("y" * 200_000) }
    handle.close_stdin
    reader.join
    assert_equal 4_000_000, bytes
  end

  def test_closing_wakes_who_waits
    handle = sandbox.exec_stream("sleep", "1000")
    waiter = Thread.new { assert_raises(ClosedError) { handle.wait } }
    sleep 0.3
    handle.close
    assert waiter.join(30)
  end

  def test_enumerator
    kinds = sandbox.exec_stream("echo", "x").each.map(&:kind)
    assert_equal %i[started stdout exited], kinds
  end

  # ---- cancellation ----

  def running?(marker) = sandbox.shell("ps | grep -q '[s]leep #{marker}' && echo yes").stdout == "yes\n"

  def test_timeout_cancels
    took = seconds { assert_raises(Timeout::Error) { Timeout.timeout(0.4) { sandbox.exec("sleep", "1111") } } }
    assert_operator took, :<, 10 # of a busy host; 1000 s it would be
    eventually { !running?(1111) }
  end

  def test_raise_and_kill_cancel
    thread = Thread.new { assert_raises(IOError) { sandbox.exec("sleep", "2222") } }
    eventually { running?(2222) }
    thread.raise(IOError)
    assert thread.join(30)
    thread = Thread.new { sandbox.exec("sleep", "2222") }
    eventually { running?(2222) }
    thread.kill
    assert thread.join(30)
    eventually { !running?(2222) }
  end

  def test_a_stream_is_cancelled
    assert_raises(Timeout::Error) { Timeout.timeout(0.4) { sandbox.exec_stream("sleep", "3333") { |event| event } } }
    eventually { !running?(3333) }
    sandbox.exec_stream("sh", "-c", "echo; exec sleep 3333") { |event| break if event.stdout? }
    eventually { !running?(3333) }
  end

  # A trap handler that runs meanwhile is no reason to end.
  def test_trap_handlers_do_not_disturb
    seen = 0
    before = trap("USR2") { seen += 1 }
    killer = Thread.new do
      3.times do
        sleep 0.1
        Process.kill(:USR2, Process.pid)
      end
    end
    assert_equal "done\n", sandbox.shell("sleep 0.6; echo done").stdout
    killer.join
    eventually { seen == 3 }
  ensure
    trap("USR2", before || "DEFAULT")
  end

  def test_other_threads_run
    ticks = 0
    ticker = Thread.new { loop { ticks += 1; sleep 0.01 } } # rubocop:disable Style/Semicolon
    outputs = Array.new(5) { |i| Thread.new { sandbox.shell("sleep 2; echo #{i}").stdout } }.map(&:value)
    ticker.kill
    assert_equal %W[0\n 1\n 2\n 3\n 4\n], outputs
    assert_operator ticks, :>, 15
  end

  def test_under_stress_of_the_collector
    GC.stress = true
    output = sandbox.exec("echo", ["kept"], env: { "A" => "b" })
    GC.stress = false
    assert_equal "kept\n", output.stdout
  ensure
    GC.stress = false
  end
end
