# frozen_string_literal: true

module Microsandbox
  # What is known of a file; of a folder's entry the path is its name.
  FileInfo = Value.new(:path, :target, :mode, :uid, :gid, :nlink, :rdev, :size_bytes, :mtime_s, :mtime_ns) do
    def name = File.basename(path)
    def size = size_bytes
    def permissions = mode & 0o7777
    def directory? = type == 0o040000
    def file? = type == 0o100000
    def symlink? = type == 0o120000

    # @return [Symbol] :file, :directory, :symlink or :other
    def kind
      { 0o040000 => :directory, 0o100000 => :file, 0o120000 => :symlink }.fetch(type, :other)
    end

    # @return [Time]
    def mtime = Time.at(mtime_s, mtime_ns, :nsec)
    alias_method :modified, :mtime

    private

    def type = mode & 0o170000
  end

  # How a copy goes on.
  CopyProgress = Value.new(:path, :files, :bytes)

  # A running sandbox's files. Paths are the guest's, absolute or from "/".
  class Fs
    NO_FOLLOW = 1
    RECURSIVE = 2
    APPEND = 4
    EXCLUSIVE = 8
    FORCE = 16
    NO_REPLACE = 32
    COPY = { owner: 1, follow: 2, content: 4 }.freeze
    private_constant :NO_FOLLOW, :RECURSIVE, :APPEND, :EXCLUSIVE, :FORCE, :NO_REPLACE, :COPY

    # @private
    def initialize(native)
      @native = native
    end

    # A whole file, as UTF-8; at most max bytes (64 MiB).
    # @return [String]
    def read(path, max: 0)
      read_bytes(path, max: max).force_encoding(Encoding::UTF_8)
    end
    alias read_text read
    alias read_to_string read

    # @return [String] bytes
    def read_bytes(path, max: 0)
      Native.file_read(@native, Convert.path(path), max)
    end
    alias binread read_bytes

    # All of a file: it appears under its name when it is complete.
    # @param data [String, #read]
    def write(path, data, mode: 0, append: false, exclusive: false)
      flags = Convert.flags(APPEND => append, EXCLUSIVE => exclusive)
      Native.file_write(@native, Convert.path(path), Convert.bytes(data), mode, flags)
    end

    # @return [Array<FileInfo>] a folder's entries, by name
    def list(path)
      Native.file_list(@native, Convert.path(path)).map { |info| FileInfo.from_native(info) }
    end

    # @return [FileInfo]
    def stat(path, follow: true)
      FileInfo.from_native(Native.file_stat(@native, Convert.path(path), follow ? 0 : NO_FOLLOW))
    end

    def lstat(path) = stat(path, follow: false)

    def exists?(path)
      stat(path)
      true
    rescue NotFoundError
      false
    end
    alias exist? exists?
    alias exists exists?

    # @param recursive [Boolean] those above, too, and fine if it exists
    def mkdir(path, mode: 0o755, recursive: false)
      Native.file_mkdir(@native, Convert.path(path), mode, recursive ? RECURSIVE : 0)
    end

    def mkdir_p(path, mode: 0o755) = mkdir(path, mode: mode, recursive: true)

    # @param recursive [Boolean] a folder with all in it
    # @param force [Boolean] fine when it does not exist
    def remove(path, recursive: false, force: false)
      Native.file_remove(@native, Convert.path(path), Convert.flags(RECURSIVE => recursive, FORCE => force))
    end

    def remove_dir(path, force: false) = remove(path, recursive: true, force: force)

    def rename(from, to, replace: true)
      Native.file_rename(@native, Convert.path(from), Convert.path(to), replace ? 0 : NO_REPLACE)
    end

    # Within the guest; folders with all in them.
    def copy(from, to) = Native.file_copy(@native, Convert.path(from), Convert.path(to))

    def symlink(target, path) = Native.file_symlink(@native, Convert.path(target), Convert.path(path))

    def read_link(path) = stat(path, follow: false).target

    def chmod(path, mode) = Native.file_chmod(@native, Convert.path(path), mode)

    def chown(path, uid, gid, follow: true)
      Native.file_chown(@native, Convert.path(path), uid, gid, follow ? 0 : NO_FOLLOW)
    end

    # A file or tree of the host into the guest, as `docker cp`. The block is
    # told how it goes on.
    # @param owner [Boolean] keep uid and gid
    # @param follow [Boolean] the source may be a symbolic link
    # @param content [Boolean] what is in a folder, not the folder
    def copy_in(from, to, **options, &progress)
      Native.copy_in(@native, Convert.host_path(from), Convert.path(to), copying(options), &told(progress))
    end
    alias copy_from_host copy_in

    # A file or tree of the guest to the host.
    def copy_out(from, to, **options, &progress)
      Native.copy_out(@native, Convert.path(from), Convert.host_path(to), copying(options), &told(progress))
    end
    alias copy_to_host copy_out

    # The same as a tar stream; an IO of the host that has a descriptor.
    def copy_in_tar(io, to, **options, &progress)
      Native.copy_in_tar(@native, io.fileno, Convert.path(to), copying(options), &told(progress))
    end

    def copy_out_tar(from, io, **options, &progress)
      io.flush
      Native.copy_out_tar(@native, Convert.path(from), io.fileno, copying(options), &told(progress))
    end

    # From this sandbox to another, without a copy in between.
    def copy_across(from, target, to, **options, &progress)
      Native.copy_across(@native, Convert.path(from), target.native, Convert.path(to), copying(options),
                         &told(progress))
    end

    # A large file in pieces: to the block, or as a {FileReader}.
    def read_stream(path, offset: 0, length: 0, chunk: FileReader::CHUNK, &block)
      reader = FileReader.new(open_file(path, mode: 1, offset: offset, length: length), chunk)
      return reader unless block

      begin
        reader.each(&block)
      ensure
        reader.close
      end
    end

    # A large file in pieces: a {FileWriter} to the block, and the file is there
    # when the block is done, or not at all.
    def write_stream(path, mode: 0, append: false, exclusive: false)
      flags = Convert.flags(APPEND => append, EXCLUSIVE => exclusive)
      writer = FileWriter.new(open_file(path, mode: 2, permissions: mode, flags: flags))
      return writer unless block_given?

      begin
        result = yield writer
        writer.close
        result
      ensure
        writer.abort
      end
    end

    private

    def open_file(path, **options) = Native.file_open(@native, Convert.path(path), options)

    def copying(options)
      unknown = options.keys - COPY.keys
      Convert.invalid("a copy has no option #{unknown.first}") unless unknown.empty?
      { flags: options.sum { |name, given| given ? COPY.fetch(name) : 0 } }
    end

    def told(progress)
      progress && ->(event) { progress.call(CopyProgress.from_native(event)) }
    end
  end
end
