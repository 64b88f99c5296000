# frozen_string_literal: true

require_relative "helper"

# What lacks on a host, forks and ends of processes: each in a Ruby of its own.
class HostTest < Minitest::Test
  include Helper

  SAY = <<~RUBY
    require "microsandbox"
    begin
      %s
    rescue Microsandbox::Error => e
      puts e.class, e.message, e.hint
    end
  RUBY

  def test_library_missing
    out, status = ruby(format(SAY, "Microsandbox.version"), "MICROSANDBOX_LIBRARY" => "/nowhere/lib.so")
    assert_equal 0, status
    assert_match(/\AMicrosandbox::LibraryNotLoadedError\n.*nowhere.*\n.*MICROSANDBOX_LIBRARY/, out)
  end

  def test_library_of_another_kind
    out, = ruby(format(SAY, "Microsandbox.version"), "MICROSANDBOX_LIBRARY" => "libc.so.6")
    assert_match(/LibraryNotLoadedError\n.*another version/, out)
  end

  def test_kernel_missing
    Dir.mktmpdir do |empty|
      File.symlink(File.join(ENV.fetch("MSB_RUNTIME"), "msb-vmm"), File.join(empty, "msb-vmm"))
      out, = ruby(format(SAY, "Microsandbox::Sandbox.create(image: #{IMAGE.inspect})"), "MSB_RUNTIME" => empty)
      assert_match(/\AMicrosandbox::InstallError\n/, out)
    end
  end

  def test_engine_unusable
    skip "KVM is there" if File.writable?("/dev/kvm")
    out, = ruby(format(SAY, "Microsandbox::Sandbox.create(image: #{IMAGE.inspect})"), "MSB_ENGINE" => "kvm")
    assert_match(/\AMicrosandbox::(Install|Unsupported|PermissionDenied|Boot|NotFound)Error\n.*kvm/i, out)
  end

  # The parent's handles are refused in a child, which may open its own, and
  # its end does not touch what the parent has.
  def test_fork
    reader, writer = IO.pipe
    box = sandbox
    pid = fork do
      reader.close
      said = begin
        box.exec("true")
      rescue Microsandbox::ForkError => e
        e.class.name
      end
      box.close
      writer.puts said, Microsandbox::Image.list.size, Microsandbox::Sandbox.list.size
      writer.close
      GC.start
      exit!(0)
    end
    writer.close
    assert_equal "Microsandbox::ForkError\n1\n1\n", reader.read
    Process.wait(pid)
    assert_equal "still\n", sandbox.exec("echo", "still").stdout
  end

  # A child that ends in the ordinary way collects everything.
  def test_fork_that_exits
    Dir.mktmpdir("rb") do |home|
      out, = ruby(<<~RUBY, "MSB_HOME" => home)
        require "microsandbox"
        box = Microsandbox::Sandbox.create(image: #{IMAGE.inspect}, memory: 64)
        Process.wait(fork { GC.start })
        print box.exec("echo", "alive").stdout
      RUBY
      assert_equal "alive\n", out
    end
  end

  def test_exit_with_sandboxes_open
    Dir.mktmpdir("rb") do |home|
      out, status = ruby(<<~RUBY, "MSB_HOME" => home)
        require "microsandbox"
        boxes = Array.new(2) { Microsandbox::Sandbox.create(image: #{IMAGE.inspect}, memory: 64) }
        stream = boxes[0].exec_stream("sleep", "1000")
        Thread.new { boxes[1].exec("sleep", "1000") }
        sleep 0.3
        puts(boxes.map { |box| box.info.pid })
        exit 7
      RUBY
      assert_equal 7, status, out
      out.split.map(&:to_i).each { |pid| eventually { !alive?(pid) } }
      eventually { Sandbox.list(home: home).empty? }
    end
  end

  def test_ctrl_c
    Dir.mktmpdir("rb") do |home|
      script = <<~RUBY
        require "microsandbox"
        box = Microsandbox::Sandbox.create(image: #{IMAGE.inspect}, memory: 64)
        begin
          puts box.info.pid
          $stdout.flush
          box.exec("sleep", "1000")
        rescue Interrupt
          puts "interrupted"
        end
      RUBY
      paths = $LOAD_PATH.grep(%r{sdk[/-]ruby}).flat_map { |path| ["-I", path] }
      io = IO.popen([{ "MSB_HOME" => home }, RbConfig.ruby, *paths, "-e", script])
      pid = io.gets.to_i
      sleep 0.3
      Process.kill(:INT, io.pid)
      assert_equal "interrupted\n", Timeout.timeout(60) { io.read }
      io.close
      eventually { !alive?(pid) }
    end
  end
end
