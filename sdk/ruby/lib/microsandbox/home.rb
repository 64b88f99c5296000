# frozen_string_literal: true

module Microsandbox
  # The folder where images, sandboxes, volumes and snapshots are kept. One is
  # opened for the process when it is first needed: what MSB_HOME names, else
  # ~/.microsandbox. Another one is given as `home:` to any call.
  class Home
    @lock = Mutex.new
    @default = nil

    class << self
      # @return [Home] of a folder, made if it is missing
      def open(path = nil)
        new(Native.home_open(path && Convert.path(path)))
      end

      # The process's; a child of fork() opens its own.
      # @return [Home]
      def default
        # A thread that held the lock may not be in a child.
        @lock = Mutex.new if @default && @pid != Process.pid
        @lock.synchronize do
          @default = nil if @pid != Process.pid || @default&.closed?
          @pid = Process.pid
          @default ||= open
        end
      end

      # @private
      def of(home)
        case home
        when nil then default
        when Home then home
        when String then open(home)
        else Convert.wrong_type("home", "a Home or a path", home)
        end
      end
    end

    # @private
    attr_reader :native

    # @private
    def initialize(native)
      @native = native
    end

    # @return [String] absolute
    def path
      native.path
    end

    # What was opened with it goes on.
    def close
      native.close
    end

    def closed?
      native.closed?
    end

    def inspect
      closed? ? "#<#{self.class} closed>" : "#<#{self.class} #{path}>"
    end
  end
end
