# frozen_string_literal: true

require_relative "helper"

# Programs in the shape of the Rust system's gem.
class PeerTest < Minitest::Test
  include Helper

  def test_life
    name = "rb-peer-#{Process.pid}"
    sandbox = Microsandbox::Sandbox.create(name, image: IMAGE, memory: 64, cpus: 1, env: { "MARKER" => "here" })
    output = sandbox.exec("/bin/sh", ["-c", 'printf "%s" "$MARKER"; exit 3'])
    assert_equal ["here", "", 3, false], [output.stdout, output.stderr, output.exit_code, output.success?]
    sandbox.fs.write("/root/kept.txt", "kept")
    assert_equal "kept", sandbox.fs.read("/root/kept.txt")
    assert_equal "running", Microsandbox::Sandbox.get(name).status
    sandbox.stop
    sandbox = Microsandbox::Sandbox.start(name)
    assert_equal "kept", sandbox.fs.read("/root/kept.txt")

    handle = Microsandbox::Sandbox.get(name)
    handle.stop if handle.status == "running"
    assert_equal "stopped", handle.reload.status
    handle.remove
    Microsandbox::Sandbox.create(name, image: IMAGE, memory: 64).close
    # A record means one sandbox, not whoever has its name now.
    [-> { handle.start }, -> { handle.remove(force: true) }, -> { handle.modify(memory: 80) }].each do |stale|
      assert_raises(Microsandbox::SandboxNotFoundError) { stale.call }
    end
    Microsandbox::Sandbox.remove(name)
  end

  def test_no_network
    sandbox = Microsandbox::Sandbox.create("rb-peer-none-#{Process.pid}", image: IMAGE, memory: 64, network: :none)
    devices = "awk 'NR > 2 && $1 != \"lo:\" { bad = 1 } END { exit bad }' /proc/net/dev"
    assert sandbox.shell(devices, timeout: 10).success?
    assert_equal "works", sandbox.exec("/bin/sh", ["-c", "printf works"]).stdout
    sandbox.stop
    Microsandbox::Sandbox.remove(sandbox.name)
  end

  def test_versions
    assert_match(/\A\d+\.\d+\.\d+\z/, Microsandbox::VERSION)
    assert_equal Microsandbox::VERSION, Microsandbox.version
  end
end
