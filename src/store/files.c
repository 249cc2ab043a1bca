/*
 * Files of the data root.
 *
 * Two ways of writing, and each file has one of them (a mix of both would break the other tool):
 *
 *   replace     names, meta.json, *.json of a container: a temporary file, then rename
 *   overwrite   hosts, resolv.conf, hostname: containers have them mounted, so their inode stays
 *
 * nerdctl calls fsync after each. Here nothing does: what a crash of the host may tear is repaired from
 * the intent that was committed before (an empty name file counts as free, for nerdctl too).
 *
 * nerdctl guards its overwrites with a marker in <data root>/filesystem-ops; one that says "remove" makes
 * it delete the file the next time that it looks. A marker left by a crash must not outlive a write of
 * ours. We leave none of our own.
 */

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"

#include "files_priv.h"

int
nd_files_mkdirs(const char *path, mode_t mode)
{
    ND_AUTO(nd_freep) char *copy = NULL;

    if (mkdir(path, mode) == 0 || errno == EEXIST)
        return 0;
    if (errno != ENOENT)
        return errno;
    copy = nd_strdup(path);
    for (char *p = copy + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return errno;
        *p = '/';
    }
    return mkdir(path, mode) == 0 || errno == EEXIST ? 0 : errno;
}
