"""Runs a program in a terminal of its own: argv[1] is what is awaited, argv[2] what is done then, the rest the program.

Prints one JSON object: what was written, and how it ended."""
import json, os, pty, signal, struct, fcntl, termios, sys

awaited, action, program = sys.argv[1].encode(), sys.argv[2], sys.argv[3:]
child, terminal = pty.fork()
if child == 0:
    os.execvp(program[0], program)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('HHHH', 40, 160, 0, 0))
written, acted = b'', False
while True:
    try:
        data = os.read(terminal, 65536)
    except OSError:
        break
    if not data:
        break
    written += data
    if not acted and awaited in written:
        acted = True
        if action.startswith('SIG'):
            os.kill(child, getattr(signal, action))
        elif action != '':
            os.write(terminal, bytes([int(action)]))
_, status = os.waitpid(child, 0)
print(json.dumps({'written': written.decode(errors='replace'), 'code': os.WEXITSTATUS(status) if os.WIFEXITED(status) else None, 'signal': os.WTERMSIG(status) if os.WIFSIGNALED(status) else None}))
