# frozen_string_literal: true

# Calls about the files of a sandbox.
module FsCalls
  def fs_read(sandbox:, path:) = { data: at(sandbox).fs.read_bytes(path) }

  def fs_write(sandbox:, path:, data:, **options)
    nothing { at(sandbox).fs.write(path, data, **options) }
  end

  def fs_list(sandbox:, path:) = { entries: at(sandbox).fs.list(path).map(&:to_h) }
  def fs_stat(sandbox:, path:, no_follow: false) = at(sandbox).fs.stat(path, follow: !no_follow).to_h
  def fs_exists(sandbox:, path:) = { exists: at(sandbox).fs.exists?(path) }
  def fs_mkdir(sandbox:, path:, **options) = nothing { at(sandbox).fs.mkdir(path, **options) }
  def fs_remove(sandbox:, path:, **options) = nothing { at(sandbox).fs.remove(path, **options) }

  def fs_rename(sandbox:, from:, to:, no_replace: false)
    nothing { at(sandbox).fs.rename(from, to, replace: !no_replace) }
  end

  def fs_copy(sandbox:, from:, to:) = nothing { at(sandbox).fs.copy(from, to) }
  def fs_symlink(sandbox:, target:, path:) = nothing { at(sandbox).fs.symlink(target, path) }
  def fs_chmod(sandbox:, path:, mode:) = nothing { at(sandbox).fs.chmod(path, mode) }
  def fs_chown(sandbox:, path:, uid:, gid:) = nothing { at(sandbox).fs.chown(path, uid, gid) }
  def fs_copy_in(sandbox:, from:, to:) = nothing { at(sandbox).fs.copy_in(from, to) }
  def fs_copy_out(sandbox:, from:, to:) = nothing { at(sandbox).fs.copy_out(from, to) }

  def fs_read_stream(sandbox:, path:)
    sha = Digest::SHA256.new
    bytes = 0
    at(sandbox).fs.read_stream(path) do |piece|
      sha << piece
      bytes += piece.bytesize
    end
    { bytes: bytes, sha256: sha.hexdigest }
  end

  def fs_write_stream(sandbox:, path:, bytes:)
    sha = Digest::SHA256.new
    at(sandbox).fs.write_stream(path) do |writer|
      pattern(bytes) do |piece|
        sha << piece
        writer << piece
      end
    end
    { sha256: sha.hexdigest }
  end

  private

  # In pieces of a multiple of 251 bytes.
  def pattern(bytes)
    block = (0..250).to_a.pack("C*") * 400
    while bytes.positive?
      piece = block.byteslice(0, bytes)
      yield piece
      bytes -= piece.bytesize
    end
  end
end
