# frozen_string_literal: true

module Microsandbox
  # The raw binding; its functions are those of microsandbox.h.
  # @private
  module Native
    # Where libmicrosandbox is looked for: what MICROSANDBOX_LIBRARY names,
    # else the folder that came with the gem, else the system's.
    def self.library_path
      named = ENV.fetch("MICROSANDBOX_LIBRARY", "")
      return named unless named.empty?

      ours = File.join(__dir__, "runtime/libmicrosandbox.so.0")
      File.exist?(ours) ? ours : "libmicrosandbox.so.0"
    end

    # Called at the first call that needs it.
    def self.load_library
      why = load(library_path)
      return unless why

      raise LibraryNotLoadedError.new(
        "libmicrosandbox cannot be loaded: #{why}",
        hint: "install microsandbox, or the gem that was built for this platform, or set " \
              "MICROSANDBOX_LIBRARY to the path of libmicrosandbox.so.0"
      )
    end
  end
end
