# frozen_string_literal: true

module Microsandbox
  # Changes to the image before a sandbox starts. An existing target is an
  # error without `replace: true`.
  class Patch
    KINDS = { text: 1, file: 1, copy: 2, append: 3, mkdir: 4, symlink: 5, remove: 6, mode: 7, owner: 8 }.freeze
    REPLACE = 1
    MODE = 2
    OWNER = 4

    class << self
      def text(path, content, **options)
        new(:text, path, data: content, **options)
      end

      def file(path, data, **options)
        new(:file, path, data: data, **options)
      end

      # A file or folder of the host.
      def copy(source, path, **options)
        new(:copy, path, source: Convert.host_path(source), **options)
      end
      alias copy_file copy
      alias copy_dir copy

      def append(path, content)
        new(:append, path, data: content)
      end

      def mkdir(path, **options)
        new(:mkdir, path, **options)
      end

      def symlink(target, path, **options)
        new(:symlink, path, source: target, **options)
      end

      def remove(path)
        new(:remove, path)
      end

      def chmod(path, mode)
        new(:mode, path, mode: mode)
      end

      def chown(path, uid, gid)
        new(:owner, path, uid: uid, gid: gid)
      end

      # @private
      def list(value)
        return nil if value.nil?

        Convert.wrong_type("patches", "an Array", value) unless value.is_a?(Array)
        value.map { |patch| from(patch).to_native }
      end

      # @private
      def from(value)
        case value
        when Patch then value
        when Hash then new(value[:kind], value[:path], **value.except(:kind, :path))
        else Convert.wrong_type("a patch", "a Patch or Hash", value)
        end
      end
    end

    def initialize(kind, path, data: nil, source: nil, mode: nil, uid: nil, gid: nil, replace: false)
      owner = uid || gid
      @native = {
        kind: Convert.choice(KINDS, kind, "kind of a patch"), path: path, source: source,
        data: data && Convert.bytes(data), mode: mode, uid: owner && (uid || 0), gid: owner && (gid || 0),
        flags: Convert.flags(REPLACE => replace, MODE => mode, OWNER => owner)
      }.compact
    end

    # @private
    def to_native
      @native
    end
  end
end
