/* A disk that keeps what was synced and nothing else, for LD_PRELOAD.
 *
 * At each fsync of a file under POWER_ROOT its content is copied to POWER_SHADOW, at each fsync of a folder its listing.
 * Both go by inode and birth time: a name may be renamed, an inode number be used again. What is found there after a
 * kill is what a disk would hold after a power cut that loses everything that was not synced. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { KEY = 64, PLACE = PATH_MAX + KEY + 32 };

static void fail(const char *what) {
    fprintf(stderr, "power.c: %s: %s\n", what, strerror(errno));
    abort();
}

static void name_of(int folder, const char *name, int flags, char key[KEY], mode_t *mode) {
    struct statx found;
    if (statx(folder, name, flags | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &found) != 0)
        fail("statx");
    if (!(found.stx_mask & STATX_BTIME))
        fail("this file system tells no birth times");
    snprintf(key, KEY, "%llx-%llx-%x", (unsigned long long)found.stx_ino, (unsigned long long)found.stx_btime.tv_sec,
             found.stx_btime.tv_nsec);
    *mode = found.stx_mode;
}

static void put(int target, const void *data, size_t size) {
    while (size > 0) {
        ssize_t done = write(target, data, size);
        if (done <= 0)
            fail("write");
        data = (const char *)data + done;
        size -= (size_t)done;
    }
}

static void copy_content(int source, int target) {
    char chunk[65536];
    ssize_t count;
    while ((count = read(source, chunk, sizeof chunk)) > 0)
        put(target, chunk, (size_t)count);
    if (count < 0)
        fail("read");
}

static void copy_listing(int source, int target) {
    DIR *folder = fdopendir(dup(source));
    struct dirent *entry;
    if (!folder)
        fail("fdopendir");
    while ((entry = readdir(folder)) != NULL) {
        char key[KEY], line[PATH_MAX];
        mode_t mode;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        name_of(source, entry->d_name, 0, key, &mode);
        snprintf(line, sizeof line, "%s\t%s\t%s\n", S_ISDIR(mode) ? "folder" : "file", key, entry->d_name);
        put(target, line, strlen(line));
    }
    closedir(folder);
}

/* Whether the descriptor was under the root, and is in the shadow now. */
static int kept(int descriptor) {
    const char *root = getenv("POWER_ROOT"), *shadow = getenv("POWER_SHADOW");
    char link[64], path[PATH_MAX], key[KEY], temporary[PLACE], final[PLACE];
    mode_t mode;
    ssize_t length;
    int source, target;
    if (!root || !shadow)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        fail(link);
    path[length] = 0;
    if (strncmp(path, root, strlen(root)) != 0 || !strchr("/", path[strlen(root)]))
        return 0;
    name_of(descriptor, "", AT_EMPTY_PATH, key, &mode);
    source = open(link, O_RDONLY | O_CLOEXEC);
    snprintf(temporary, sizeof temporary, "%s/%ld.new", shadow, (long)syscall(SYS_gettid));
    target = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (source < 0 || target < 0)
        fail("open");
    (S_ISDIR(mode) ? copy_listing : copy_content)(source, target);
    close(source);
    close(target);
    snprintf(final, sizeof final, "%s/%s", shadow, key);
    if (rename(temporary, final) != 0)
        fail("rename");
    if (!strcmp(path, root)) {
        snprintf(final, sizeof final, "%s/root", shadow);
        unlink(final);
        if (symlink(key, final) != 0)
            fail("symlink");
    }
    return 1;
}

static int synced(const char *name, int descriptor) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    int before = errno;
    if (kept(descriptor)) {
        errno = before;
        return 0;
    }
    return real(descriptor);
}

int fsync(int descriptor) { return synced("fsync", descriptor); }

int fdatasync(int descriptor) { return synced("fdatasync", descriptor); }
