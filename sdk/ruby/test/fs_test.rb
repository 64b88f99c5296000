# frozen_string_literal: true

require_relative "helper"
require "stringio"

class FsTest < Minitest::Test
  include Helper

  def fs = sandbox.fs

  def setup = fs.mkdir("/work", recursive: true)
  def teardown = fs.remove("/work", recursive: true, force: true)

  def test_read_and_write
    fs.write("/work/a", "grün")
    assert_equal "grün", fs.read("/work/a")
    fs.write("/work/a", "+", append: true)
    assert_equal "grün+".b, fs.read_bytes("/work/a")
    fs.write("/work/io", StringIO.new("of an IO"), mode: 0o600)
    assert_equal [0o600, 8, true], fs.stat("/work/io").then { |s| [s.permissions, s.size, s.file?] }
    assert_raises(AlreadyExistsError) { fs.write("/work/a", "", exclusive: true) }
    assert_raises(NoSpaceError) { fs.read("/work/a", max: 2) }
  end

  def test_names
    fs.mkdir("/work/d/e", recursive: true)
    fs.write("/work/d/f", "1")
    fs.symlink("/work/d/f", "/work/link")
    assert_equal [%w[e f], "/work/d/f"], [fs.list("/work/d").map(&:path), fs.read_link("/work/link")]
    assert fs.lstat("/work/link").symlink?
    fs.copy("/work/d", "/work/d2")
    fs.rename("/work/d2/f", "/work/d2/g")
    fs.chmod("/work/d2/g", 0o640)
    fs.chown("/work/d2/g", 7, 8)
    assert_equal [0o640, 7, 8], fs.stat("/work/d2/g").then { |s| [s.permissions, s.uid, s.gid] }
    assert_raises(Error) { fs.remove("/work/d2") }
    fs.remove_dir("/work/d2")
    refute fs.exists?("/work/d2")
    error = assert_raises(PathNotFoundError) { fs.read("/work/none") }
    assert_equal Errno::ENOENT::Errno, error.errno
  end

  def test_flat_names
    sandbox.fs_write("/work/flat", "x")
    assert sandbox.fs_exists("/work/flat")
    assert_equal "x", sandbox.fs_read("/work/flat")
    sandbox.fs_remove("/work/flat")
  end

  def test_bad_paths
    assert_raises(InvalidConfigError) { fs.read("a\0b") }
    assert_raises(TypeError) { fs.read(7) }
    assert_raises(TypeError) { fs.write("/work/x", 7) }
    assert_raises(InvalidConfigError) { fs.chmod("/work", 2**33) }
  end

  def test_streams
    fs.write_stream("/work/big") { |file| 30.times { |i| file << i.chr * 100_000 } }
    assert_equal 3_000_000, fs.read_stream("/work/big").sum(&:bytesize)
    reader = fs.read_stream("/work/big", offset: 100_000 - 2)
    assert_equal ["\0\0\1\1".b, "\1".b], [reader.read(4), reader.readpartial(1)]
    reader.close
    pieces = []
    fs.read_stream("/work/big", length: 10) { |piece| pieces << piece }
    assert_equal ["\0" * 10, "\0" * 10], [pieces.join, fs.read_stream("/work/big", length: 10).read]
  end

  def test_what_is_not_complete_is_not_there
    assert_raises(RuntimeError) do
      fs.write_stream("/work/half") do |file|
        file << "x" * 100_000
        raise "no"
      end
    end
    refute fs.exists?("/work/half")
    writer = fs.write_stream("/work/half")
    writer << "x"
    writer.abort
    assert_raises(ClosedError) { writer << "y" }
    refute fs.exists?("/work/half")
  end

  def test_trees
    Dir.mktmpdir do |dir|
      Dir.mkdir("#{dir}/sub")
      File.write("#{dir}/sub/one", "1")
      progress = []
      fs.copy_in(dir, "/work/tree") { |event| progress << event }
      assert_equal "1", fs.read("/work/tree/sub/one")
      fs.copy_out("/work/tree", "#{dir}/back")
      assert_equal "1", File.read("#{dir}/back/sub/one")
      File.open("#{dir}/t.tar", "w+b") { |tar| fs.copy_out_tar("/work/tree", tar) }
      fs.mkdir("/work/tar")
      File.open("#{dir}/t.tar", "rb") { |tar| fs.copy_in_tar(tar, "/work/tar") }
      assert_equal "1", fs.read("/work/tar/tree/sub/one")
      assert_raises(PathNotFoundError) { fs.copy_in("#{dir}/none", "/work/none") }
      assert_raises(InvalidConfigError) { fs.copy_in(dir, "/work", twice: true) }
    end
  end
end
