/* What WASI's functions answer where there is nothing to have: one line each, NAME ERRNO. */
#include <stdio.h>
#include <wasi/api.h>

int main(void)
{
	__wasi_fd_t fd = 99;
	__wasi_size_t size = 0;
	__wasi_filesize_t at = 0;
	__wasi_prestat_t prestat;
	__wasi_timestamp_t time = 0;
	__wasi_fdstat_t stat;
	__wasi_filestat_t file;
	__wasi_event_t event;
	const __wasi_ciovec_t data = {(const uint8_t *)"x", 1};
	const __wasi_ciovec_t beyond = {(const uint8_t *)0x7fffff00, 1};

#define LINE(name, result) printf("%s %d\n", name, result)
	LINE("open", __wasi_path_open(3, 0, "/etc/passwd", 0, 2, 0, 0, &fd));
	LINE("open in 0", __wasi_path_open(0, 0, "/etc/passwd", 0, 2, 0, 0, &fd));
	LINE("mkdir", __wasi_path_create_directory(3, "x"));
	LINE("unlink", __wasi_path_unlink_file(4, "x"));
	LINE("symlink", __wasi_path_symlink("a", 3, "b"));
	LINE("prestat", __wasi_fd_prestat_get(3, &prestat));
	LINE("seek", __wasi_fd_seek(1, 0, 0, &at));
	LINE("seek 7", __wasi_fd_seek(7, 0, 0, &at));
	LINE("write 0", __wasi_fd_write(0, &data, 1, &size));
	LINE("write 3", __wasi_fd_write(3, &data, 1, &size));
	LINE("write beyond", __wasi_fd_write(2, &beyond, 1, &size));
	LINE("renumber", __wasi_fd_renumber(0, 1));
	LINE("sync", __wasi_fd_sync(1));
	LINE("send", __wasi_sock_send(0, &data, 1, 0, &size));
	LINE("shutdown", __wasi_sock_shutdown(5, 1));
	LINE("clock 9", __wasi_clock_time_get(9, 1, &time));
	LINE("clock", __wasi_clock_time_get(0, 1, &time));
	LINE("random beyond", __wasi_random_get((uint8_t *)0x7fffff00, 64));
	LINE("fdstat", __wasi_fd_fdstat_get(1, &stat));
	LINE("filestat", __wasi_fd_filestat_get(0, &file));
	LINE("poll nothing", __wasi_poll_oneoff(NULL, &event, 0, &size));
	LINE("yield", __wasi_sched_yield());
	LINE("close", __wasi_fd_close(0));
	LINE("close again", __wasi_fd_close(0));
	LINE("close 3", __wasi_fd_close(3));
	return fopen("/etc/passwd", "r") != NULL;
}
