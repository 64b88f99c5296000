# frozen_string_literal: true

module Microsandbox
  # Options of commands, as the library takes them.
  # @private
  module ExecOptions
    TTY = 1
    STDIN = 2
    IMAGE_COMMAND = 4
    SHELL = 8
    NO_LOG = 16
    KEYS = %i[cwd env user tty rlimits rows cols log entrypoint].freeze

    module_function

    # cmd and args, of `exec("a", "b")` and `exec("a", ["b"])`.
    def argv(command, args)
      [command, *args.flatten(1)].map do |word|
        word = word.to_path if word.respond_to?(:to_path)
        Convert.wrong_type("a command", "Strings", word) unless word.is_a?(String)
        word
      end
    end

    def native(argv, flags: 0, cwd: nil, env: nil, user: nil, tty: false, rlimits: nil, rows: nil, cols: nil,
               log: true, entrypoint: nil)
      {
        argv: argv, cwd: cwd, env: Convert.pairs(env, "env"), user: user&.to_s, rlimits: Convert.rlimits(rlimits),
        rows: Convert.positive(rows, "rows"), cols: Convert.positive(cols, "cols"), entrypoint: entrypoint,
        flags: flags | Convert.flags(TTY => tty, NO_LOG => !log)
      }
    end

    # nil, a String, or what can be read.
    def input(stdin)
      return nil if stdin.nil?

      Convert.bytes(stdin)
    end
  end
  private_constant :ExecOptions
end
