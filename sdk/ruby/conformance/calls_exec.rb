# frozen_string_literal: true

# Calls about commands.
module ExecCalls
  def exec(sandbox:, argv:, timeout_ms: nil, **options)
    output_of(at(sandbox).exec(*argv, timeout: seconds(timeout_ms), **options))
  end

  def shell(sandbox:, script:, timeout_ms: nil, **options)
    output_of(at(sandbox).shell(script, timeout: seconds(timeout_ms), **options))
  end

  def exec_start(as:, sandbox:, argv:, stdin: false, shell: false, **options)
    method = shell ? :shell_stream : :exec_stream
    nothing { keep(as, at(sandbox).public_send(method, *argv, stdin: stdin ? :pipe : nil, **options)) }
  end

  def exec_next(exec:, timeout_ms: nil)
    event = at(exec).next_event(timeout: seconds(timeout_ms))
    event ? event.to_h.merge(signal: event.signal || 0) : { kind: nil }
  end

  def exec_write(exec:, data:) = nothing { at(exec).write(data) }
  def exec_close_stdin(exec:) = nothing { at(exec).close_stdin }
  def exec_detach(exec:) = nothing { at(exec).detach }
  def exec_close(exec:) = drop(exec)
  def exec_signal(exec:, signal:) = nothing { at(exec).signal(signal) }
  def exec_resize(exec:, rows:, cols:) = nothing { at(exec).resize(rows, cols) }
  def exec_wait(exec:, timeout_ms: nil) = { exit_code: at(exec).wait(timeout: seconds(timeout_ms)) }
  def exec_session(exec:) = { session: at(exec).session }
  def exec_attach(as:, sandbox:, session: 0) = nothing { keep(as, at(sandbox).attach_session(session)) }

  private

  def output_of(output)
    { exit_code: output.exit_code, signal: output.signal || 0, stdout: output.stdout_bytes,
      stderr: output.stderr_bytes, success: output.success?, truncated: output.truncated? }
  end
end
