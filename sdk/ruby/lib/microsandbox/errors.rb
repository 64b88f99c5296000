# frozen_string_literal: true

module Microsandbox
  # What all errors of the library are. There is a class for each code, and
  # some for what was not found, or was there already.
  class Error < StandardError
    # @return [Integer] the number of the code
    attr_reader :code
    # @return [String] "not_found" and so on
    attr_reader :code_name
    # @return [Integer] the errno that caused it, or 0
    attr_reader :errno
    # @return [String] the next step, or ""
    attr_reader :hint

    CODE = 0
    CODE_NAME = "unknown"

    def initialize(message = nil, code: self.class::CODE, code_name: self.class::CODE_NAME, errno: 0, hint: "")
      super(message)
      @code = code
      @code_name = code_name
      @errno = errno
      @hint = hint
    end

    # Made by the extension.
    # @private
    def self.from_native(code, code_name, errno, message, hint, subject, detail)
      type = SUBJECTS[[code_name, subject]] || CODES.fetch(code_name, Error)
      error = type.new(message, code: code, code_name: code_name, errno: errno, hint: hint)
      error.detail = detail unless detail.nil?
      error
    end

    # @private
    def detail=(_detail); end

    # For irb and logs of failures: with the hint.
    def detailed_message(highlight: false, **)
      hint.to_s.empty? ? super : "#{super}\n  #{hint}"
    end
  end

  # @private
  def self.define_error(name, code, code_name, parent = Error)
    const_set(name, Class.new(parent) do
      const_set(:CODE, code)
      const_set(:CODE_NAME, code_name)
    end)
  end

  CODES = {
    "internal" => define_error(:InternalError, 1, "internal"),
    "invalid" => define_error(:InvalidConfigError, 2, "invalid"),
    "not_found" => define_error(:NotFoundError, 3, "not_found"),
    "exists" => define_error(:AlreadyExistsError, 4, "exists"),
    "busy" => define_error(:BusyError, 5, "busy"),
    "no_memory" => define_error(:NoMemoryError, 6, "no_memory"),
    "no_space" => define_error(:NoSpaceError, 7, "no_space"),
    "io" => define_error(:IoError, 8, "io"),
    "permission" => define_error(:PermissionDeniedError, 9, "permission"),
    "unsupported" => define_error(:UnsupportedError, 10, "unsupported"),
    "timeout" => define_error(:TimeoutError, 11, "timeout"),
    "cancelled" => define_error(:CancelledError, 12, "cancelled"),
    "auth" => define_error(:AuthError, 13, "auth"),
    "network" => define_error(:NetworkError, 14, "network"),
    "digest" => define_error(:DigestError, 15, "digest"),
    "install" => define_error(:InstallError, 16, "install"),
    "boot" => define_error(:BootError, 17, "boot"),
    "gone" => define_error(:GoneError, 18, "gone"),
    "protocol" => define_error(:ProtocolError, 19, "protocol"),
    "exec" => define_error(:ExecFailedError, 20, "exec")
  }.freeze
  private_constant :CODES

  SandboxNotFoundError = Class.new(NotFoundError)
  ImageNotFoundError = Class.new(NotFoundError)
  VolumeNotFoundError = Class.new(NotFoundError)
  SnapshotNotFoundError = Class.new(NotFoundError)
  PathNotFoundError = Class.new(NotFoundError)
  SandboxAlreadyExistsError = Class.new(AlreadyExistsError)
  VolumeAlreadyExistsError = Class.new(AlreadyExistsError)
  SnapshotAlreadyExistsError = Class.new(AlreadyExistsError)
  SandboxStillRunningError = Class.new(BusyError)
  ImageInUseError = Class.new(BusyError)

  # The machine has ended.
  SandboxNotRunningError = GoneError
  # libmicrosandbox is missing, or of another version.
  LibraryNotLoadedError = Class.new(InstallError)
  # The handle was closed, by this or by another thread.
  ClosedError = Class.new(InvalidConfigError)
  # What was opened before a fork was used behind it.
  ForkError = Class.new(UnsupportedError)

  # The machine did not get ready: {#console} has its last lines.
  class BootError
    # @return [String]
    attr_accessor :console
  end
  BootStartError = BootError

  # The command never ran: {#stage} says where it ended.
  class ExecFailedError
    # @return [String, nil] user, cwd, rlimit, pty, exec or fork
    attr_accessor :stage
  end

  # A command was killed because its time was over: {#output} is what it wrote.
  class ExecTimeoutError < TimeoutError
    # @return [Output]
    attr_reader :output

    # @private
    def detail=(detail)
      @output = Output.from_native(detail)
    end
  end

  # @private
  class Error
    SUBJECTS = {
      %w[not_found sandbox] => SandboxNotFoundError, %w[not_found image] => ImageNotFoundError,
      %w[not_found volume] => VolumeNotFoundError, %w[not_found snapshot] => SnapshotNotFoundError,
      %w[not_found path] => PathNotFoundError, %w[exists sandbox] => SandboxAlreadyExistsError,
      %w[exists volume] => VolumeAlreadyExistsError, %w[exists snapshot] => SnapshotAlreadyExistsError,
      %w[busy sandbox] => SandboxStillRunningError, %w[busy image] => ImageInUseError,
      %w[timeout command] => ExecTimeoutError
    }.freeze
    private_constant :SUBJECTS
  end
end
