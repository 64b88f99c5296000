# frozen_string_literal: true

module Microsandbox
  # A guest's file that is read in pieces.
  class FileReader
    include Enumerable

    CHUNK = 256 << 10

    # @private
    def initialize(native, chunk = CHUNK)
      @native = native
      @chunk = chunk
      @lock = Mutex.new
      @rest = "".b
    end

    # As IO#read: so many bytes, nil at the end; without a length, all.
    def read(length = nil, buffer = nil)
      data = length ? read_up_to(length) : read_all
      data = nil if length&.positive? && data.empty?
      buffer ? buffer.replace(data || "") && data && buffer : data
    end

    # What is there, at least a byte; EOFError at the end.
    def readpartial(length)
      @lock.synchronize do
        fill if @rest.empty?
        raise EOFError, "end of file reached" if @rest.empty?

        @rest.slice!(0, length)
      end
    end

    def eof?
      @lock.synchronize { @rest.empty? && !fill }
    end

    # @yieldparam piece [String] bytes
    def each
      return enum_for(:each) unless block_given?

      while (piece = @lock.synchronize { take })
        yield piece
      end
      self
    end

    def close = @native.close
    def closed? = @native.closed?

    private

    def fill
      piece = Native.file_get(@native, @chunk)
      @rest << piece if piece
      !piece.nil?
    end

    def take
      return Native.file_get(@native, @chunk) if @rest.empty?

      @rest.slice!(0, @rest.bytesize)
    end

    def read_up_to(length)
      @lock.synchronize do
        nil while @rest.bytesize < length && fill
        @rest.slice!(0, length)
      end
    end

    def read_all
      @lock.synchronize do
        nil while fill
        @rest.slice!(0, @rest.bytesize)
      end
    end
  end

  # A guest's file that is written in pieces. It is there after {close}; after
  # {abort}, or when it is dropped, nothing is.
  class FileWriter
    # @private
    def initialize(native)
      @native = native
      @lock = Mutex.new
    end

    # @return [Integer] bytes
    def write(*data)
      data.sum do |piece|
        piece = piece.to_s
        @lock.synchronize { Native.file_put(@native, piece) }
        piece.bytesize
      end
    end

    def <<(data)
      write(data)
      self
    end

    def flush = self

    # Complete it.
    def close
      return if closed?

      @lock.synchronize { Native.file_finish(@native) }
      @native.close
    end
    alias finish close

    # Drop what was written, if it is not complete.
    def abort = @native.close
    def closed? = @native.closed?
  end
end
