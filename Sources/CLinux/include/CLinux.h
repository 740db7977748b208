// What Glibc has and Swift's import of it hides: GNU extensions, variadic functions and
// the few calls whose macros do not survive the importer.
#pragma once
#include <stdint.h>
#include <sys/types.h>

/// accept4(2) with SOCK_CLOEXEC. Returns the descriptor, or -1 with errno set.
int clinux_accept(int listener);

/// The credentials of the process at the other end of a Unix socket (SO_PEERCRED).
/// Returns 0, or -1 with errno set.
int clinux_peer_credentials(int socket, uid_t *uid, gid_t *gid, pid_t *pid);

/// fcntl(2) with an int argument.
int clinux_set_nonblocking(int descriptor, int on);
int clinux_set_close_on_exec(int descriptor);

/// Names the calling thread, at most 15 bytes (shown by top -H and in core-less traces).
void clinux_name_thread(const char *name);

/// syncfs(2): everything written to the file system that holds this descriptor reaches the disk.
int clinux_syncfs(int descriptor);

/// renameat2(2) with RENAME_NOREPLACE. Falls back to link+unlink where the file system lacks it.
int clinux_rename_noreplace(const char *from, const char *to);

/// No core dumps and no ptrace by others: patient data must not end up in a dump.
int clinux_forbid_dumps(void);

/// Makes malloc(3) give back to the system what is freed, for a process whose large tables come and
/// go on many threads: two arenas, and large blocks mapped each for itself, whatever has been freed
/// before. To be called before the first thread is made.
void clinux_return_freed_memory(void);

/// pipe2(2) with O_CLOEXEC, for about so many bytes. Returns 0, or -1 with errno set.
int clinux_pipe(int ends[2], int size);

/// splice(2) between a pipe and something else, at its position. Returns the count, or -1 with errno
/// set.
ssize_t clinux_splice(int from, int to, size_t count);

/// The groups of a user by the group database (getgrouplist(3)). Returns the count, at most
/// `capacity`, or -1.
int clinux_groups_of_user(const char *user, gid_t primary, gid_t *groups, int capacity);

/// errno as a message in English, whatever the locale.
const char *clinux_error_name(int code);
const char *clinux_error_text(int code);

/// An eventfd(2), close-on-exec; and making it readable for good.
int clinux_event(void);
void clinux_event_raise(int event);
