// SPDX-License-Identifier: GPL-2.0-only
//! Programs that load modules or end the machine: `umc` is run in their place, however they are started.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use crate::{FakeRoot, both};

/// A command with a copy of the library, beside which there may be a `umc`.
fn command(root: &FakeRoot, program: &str) -> Command {
    let library = root.host("libumc_preload.so");
    if !library.exists() {
        fs::copy(crate::library(), &library).unwrap();
    }
    let mut command = root.command(program);
    command.env("LD_PRELOAD", &library);
    command
}

/// A `umc` that says how it was called.
fn put_umc(root: &FakeRoot) {
    let umc = root.host("umc");
    fs::write(&umc, "#!/bin/sh\necho \"umc: $*\"\n").unwrap();
    fs::set_permissions(&umc, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn umc_is_run_in_place_of_modprobe() {
    let root = FakeRoot::new();
    let run = |program: &str, script: &str| -> Output {
        command(&root, program).arg("-c").arg(script).output().unwrap()
    };
    // Not the host's program even where there is no umc.
    let missing = run("sh", "exec /sbin/modprobe drbd");
    assert!(matches!(missing.status.code(), Some(126 | 127)), "{}", both(&missing));

    put_umc(&root);
    let script = "/sbin/modprobe drbd minor_count=8; exec /usr/sbin/rmmod drbd";
    for shell in ["dash", "bash"] {
        let output = run(shell, script);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(text, "umc: drbd minor_count=8\numc: drbd\n", "{shell}: {}", both(&output));
    }
    let script = "import os,subprocess
subprocess.run(['/sbin/modprobe', 'a']); os.system('/sbin/modprobe b')
os.waitpid(os.posix_spawn('/sbin/modprobe', ['modprobe', 'c'], os.environ), 0)";
    let text = String::from_utf8(run("python3", script).stdout).unwrap();
    assert_eq!(text, "umc: a\numc: b\numc: c\n");
}

/// A program that ends the machine ends the node of who calls it, whatever environment it is given.
#[test]
fn umc_knows_its_node_without_an_environment() {
    let root = FakeRoot::new();
    let umc = root.host("umc");
    fs::write(&umc, "#!/bin/sh\necho \"$UMC_FS_ROOT $A\"\n").unwrap();
    fs::set_permissions(&umc, fs::Permissions::from_mode(0o755)).unwrap();
    let python = "import os, subprocess
for program in ('/sbin/reboot', 'halt'):
    for spawn in (True, False):
        subprocess._USE_POSIX_SPAWN = subprocess._USE_VFORK = spawn
        subprocess.run([program, '--help'], env={'A': '1', 'PATH': '/sbin'}, close_fds=not spawn)
os.execve('/sbin/poweroff', ['poweroff', '--help'], {'UMC_FS_ROOT': '', 'A': '2'})";
    let want = root.path().display().to_string();
    let output = command(&root, "env").args(["-i", "A=0", "reboot", "--help"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{want} 0\n"), "{}", both(&output));
    let output = command(&root, "python3").args(["-c", python]).output().unwrap();
    let all = format!("{want} 1\n").repeat(4) + &format!("{want} 2\n");
    assert_eq!(String::from_utf8_lossy(&output.stdout), all, "{}", both(&output));
}

/// Each function of the exec family, called from a child with the arguments `a` to `i`: more than registers hold.
const EXEC: &str = "import ctypes as c, os, sys
l = c.CDLL(None)
path, dir, base = sys.argv[1].encode(), *map(str.encode, os.path.split(sys.argv[1]))
words = [b'name', *(bytes([n]) for n in b'abcdefghi')]
argv = (c.c_char_p * 11)(*words, None)
envp = (c.c_char_p * 3)(*(n + b'=' + os.environb[n] for n in (b'UMC_FS_ROOT', b'LD_PRELOAD')), None)
args = [c.c_char_p(w) for w in words] + [None]
os.environb[b'PATH'] = dir
l.setenv(b'PATH', dir, 1)
fd = os.open(path, os.O_PATH)
at = os.open(dir, os.O_PATH)
# The interpreter of a script opens it by its descriptor.
for f in (fd, at): os.set_inheritable(f, True)
exec_at = l.execveat
calls = {
    'execl': lambda: l.execl(path, *args),
    'execlp': lambda: l.execlp(base, *args),
    'execle': lambda: l.execle(path, *args, envp),
    'execv': lambda: l.execv(path, argv),
    'execve': lambda: l.execve(path, argv, envp),
    'execvp': lambda: l.execvp(base, argv),
    'execvpe': lambda: l.execvpe(base, argv, envp),
    'fexecve': lambda: l.fexecve(fd, argv, envp),
    'execveat': lambda: exec_at(at, base, argv, envp, 0),
    'execveat of a file': lambda: exec_at(fd, b'', argv, envp, 0x1000),
    'syscall execve': lambda: l.syscall(sys.argv[2] == 'x86_64' and 59 or 221, path, argv, envp),
}
for name, call in calls.items():
    pid = os.fork()
    if not pid:
        print(name, end=' ', flush=True); call(); os._exit(99)
    assert os.waitpid(pid, 0)[1] == 0, name
";

#[test]
fn every_function_that_starts_a_program_is_looked_at() {
    let root = FakeRoot::new();
    put_umc(&root);
    // A host's program of a name that umc acts for, and one of another name.
    for (name, says) in [("reboot", "umc:"), ("other", "host:")] {
        let program = root.host(name);
        fs::write(&program, "#!/bin/sh\necho \"host: $*\"\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut python = command(&root, "python3");
        python.args(["-c", EXEC]).arg(&program).arg(std::env::consts::ARCH);
        let output = python.output().unwrap();
        assert!(output.status.success(), "{}", both(&output));
        let printed = String::from_utf8(output.stdout.clone()).unwrap();
        assert_eq!(printed.lines().count(), 11, "{}", both(&output));
        for line in printed.lines() {
            assert!(line.ends_with(&format!(" {says} a b c d e f g h i")), "{line}");
        }
    }
}

#[test]
fn an_empty_list_of_arguments_is_passed_on() {
    let root = FakeRoot::new();
    let script = "import ctypes as c, os
l = c.CDLL(None); l.execl(b'/bin/echo', None); print(os.strerror(c.get_errno()))";
    let output = root.command("python3").args(["-c", script]).output().unwrap();
    // The kernel gives such a program an empty name.
    assert!(output.status.success(), "{}", both(&output));
}
