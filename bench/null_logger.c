/*
 * The least that a logger of containerd's `binary://` kind can be: it says that it is ready and
 * throws the output away. The shim starts one beside each container whose output is kept, so a
 * container that runs with this one shows what that costs before our helper does any work.
 *
 * What the shim hands over (containerd's runtime/v2 logging protocol): 3 and 4 are the container's
 * stdout and stderr, 5 is closed when the container may start.
 */

#include <unistd.h>

int
main(void)
{
    char buffer[4096];

    close(5);
    for (int fd = 3; fd <= 4; fd++) {
        while (read(fd, buffer, sizeof(buffer)) > 0)
            continue;
    }
    return 0;
}
