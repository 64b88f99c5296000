# frozen_string_literal: true

require_relative "helper"

class LifeTest < Minitest::Test
  include Helper

  def test_kept_and_started_again
    Sandbox.with("kept", image: IMAGE, memory: 64) { |box| box.fs.write("/root/f", "there") }
    record = Sandbox.get("kept")
    assert_equal ["stopped", true], [record.state, record.kept?]
    Snapshot.create("kept", "snap", labels: { "a" => "b" })
    assert_equal [%w[snap], { "a" => "b" }], [Snapshot.list.map(&:name), Snapshot.get("snap").labels]
    box = record.start
    assert_equal "there", box.fs.read("/root/f")
    assert_raises(SandboxStillRunningError) { Sandbox.remove("kept") }
    assert_raises(TimeoutError) { box.wait(timeout: 0.1) }
    box.kill
    box.wait(timeout: 60)
    refute box.running?
    assert_raises(SandboxNotRunningError) { box.exec("true") }
    Sandbox.with(from_snapshot: "snap", memory: 64) { |fork| assert_equal "there", fork.fs.read("/root/f") }
  ensure
    box&.close
    Snapshot.list.each(&:remove)
    Sandbox.remove("kept", force: true)
  end

  def test_streams_end_when_the_machine_dies
    box = Sandbox.create(image: IMAGE, memory: 64)
    handle = box.exec_stream("sh", "-c", "echo ready; exec sleep 1000")
    handle.lazy.select(&:stdout?).first
    logs = Thread.new { box.log_stream.to_a }
    stream = Thread.new { box.metrics_stream(interval: 0.1).to_a }
    waiter = Thread.new { assert_raises(GoneError) { box.exec("sleep", "1000") } }
    sleep 0.3
    Process.kill(:KILL, box.info.pid)
    assert_raises(GoneError) { handle.wait }
    assert [logs, stream, waiter].all? { |thread| thread.join(60) }
    assert_includes %w[stopped crashed failed], eventually { box.state unless box.running? }
  ensure
    box&.close
  end

  def test_any_order_of_the_collector
    box = Sandbox.create(image: IMAGE, memory: 64, home: Home.open)
    pid = box.info.pid
    handle = box.exec_stream("cat", stdin: :pipe)
    box.close
    box = nil
    GC.start
    begin
      handle.write("x")
      handle.wait(timeout: 60)
    rescue Error => e
      assert_kind_of GoneError, e
    end
    handle.close
    eventually { !alive?(pid) }
    assert_nil box
    # In a thread: the collector looks at stacks for what may be a reference, and this one ends.
    pids = Array.new(2) { Thread.new { Sandbox.create(image: IMAGE, memory: 64).info.pid }.value }
    eventually { GC.start || pids.none? { |p| alive?(p) } || nil }
  end

  def test_close_while_others_use_it
    box = Sandbox.create(image: IMAGE, memory: 64)
    busy = Thread.new { assert_raises(CancelledError, GoneError) { box.exec("sleep", "1000") } }
    sleep 0.5
    box.close
    assert busy.join(30)
    assert box.closed?
    assert_raises(ClosedError) { box.exec("true") }
    box.close
  end

  def test_a_pull_is_cancelled
    server = TCPServer.new("127.0.0.1", 0)
    held = Thread.new { loop { (@held ||= []) << server.accept } }
    took = seconds do
      assert_raises(Timeout::Error) do
        Timeout.timeout(0.5) { Image.pull("127.0.0.1:#{server.addr[1]}/a/b", insecure: true) }
      end
    end
    assert_operator took, :<, 10 # of a busy host; 1000 s it would be
    assert_raises(ImageNotFoundError) { Image.open("127.0.0.1:#{server.addr[1]}/a/b") }
  ensure
    held&.kill
    server&.close
  end

  def test_a_block_that_raises_ends_a_pull
    assert_raises(KeyError) { Image.pull(IMAGE, force: true) { |_event| raise KeyError } }
    kinds = []
    Image.pull(IMAGE, force: true) { |event| kinds << event.kind }
    assert_equal :done, kinds.last
  end

  def test_a_creation_is_cancelled
    Image.pull(IMAGE)
    box = nil
    whole = seconds { box = Sandbox.create(image: IMAGE, memory: 64) } # on this host, now; the next may be much quicker
    box.close
    cut = [0.02, 0.05, 0.1, 0.3, 0.6, 0.9].count do |part|
      box = nil
      Timeout.timeout(part * whole) { box = Sandbox.create("cut-short", image: IMAGE, memory: 64) }
      box.close
      Sandbox.remove("cut-short", force: true)
      false
    rescue Timeout::Error
      # It may come after the last moment, too.
      box ? Sandbox.remove("cut-short", force: true) : assert_raises(SandboxNotFoundError) { Sandbox.get("cut-short") }
      box.nil?
    end
    assert_operator cut, :>=, 3
  end

  def test_options_reach_the_machine
    volume = Volume.create("data", size: 64)
    builder = Sandbox.builder.image(IMAGE).memory(64).hostname("inside").env("E", "e").workdir("/tmp")
                     .script("greet", "#!/bin/sh\necho hello $1\n").volume("/data", Volume.named("data"))
                     .volume("/fast", Volume.tmpfs(size: 8)).patch(Patch.text("/etc/motd", "patched", replace: true))
                     .secret(Secret.env("TOKEN", value: "real-value", allow_hosts: ["api.example.com"]))
                     .port(0, 8080).label("l")
    builder.create do |box|
      assert_equal "inside\n/tmp\ne\n", box.shell("hostname; pwd; echo $E").stdout
      assert_equal ["hello you\n", "patched"], [box.exec("greet", "you").stdout, box.fs.read("/etc/motd")]
      assert_match(/\AMSB_\h{32}\n\z/, box.shell("echo $TOKEN").stdout)
      assert_equal "1\n", box.shell("grep -c ' /fast tmpfs ' /proc/mounts").stdout
      assert_equal [8080], (box.ports.map { |port| port["guest"] })
      assert_equal [box.name], Volume.get("data").users
      assert_raises(BusyError) { volume.remove }
    end
  ensure
    volume&.remove(force: true)
  end

  def test_logs_and_metrics
    output = sandbox.shell("echo logged; echo wrong >&2")
    assert output.success?
    words = %W[logged\n wrong\n]
    entries = eventually { sandbox.logs(tail: 2).then { |l| l if l.map(&:text).sort == words } }
    assert_equal %i[stderr stdout], entries.map(&:source).sort
    samples = sandbox.metrics_stream(interval: 0.1).first(2)
    assert_operator samples.last.uptime, :>, samples.first.uptime
    assert_kind_of Float, samples.last.cpu_percent
    assert_operator sandbox.ping, :>, 0
    assert_equal 64 << 20, sandbox.metrics.memory_bytes
    assert_includes Microsandbox.all_sandbox_metrics.keys, sandbox.name
    assert_equal "deny", Microsandbox.net_rules(sandbox.name)["defaults"]["egress"]
  end

  # MSB_TEST_MANY=100 in a run by hand.
  def test_many_at_once
    count = Integer(ENV.fetch("MSB_TEST_MANY", "8"))
    Image.pull(IMAGE)
    boxes = nil
    took = seconds do
      boxes = Array.new(count) { Thread.new { Sandbox.create(image: IMAGE, memory: 64, boot_timeout: 600) } }.map(&:value)
    end
    outputs = boxes.each_with_index.map { |box, i| Thread.new { box.exec("echo", i.to_s, timeout: 300).stdout } }
    assert_equal Array.new(count) { |i| "#{i}\n" }, outputs.map(&:value)
    rss = File.read("/proc/self/status")[/VmRSS:\s+(\d+)/, 1].to_i / 1024
    closing = seconds { boxes.map { |box| Thread.new { box.close } }.each(&:join) }
    warn format("\n%d sandboxes: %.1f s to create, %.1f s to close, %d MiB here", count, took, closing, rss)
  end
end
