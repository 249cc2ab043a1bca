/*
 * Of the memory of an idle daemon most is code: OpenSSL, SQLite and the dynamic linker go over
 * megabytes of theirs at the start, and half of it is never needed again. The kernel would take
 * such pages back when memory gets short; a host with many small services is better off when they
 * are not counted from the first minute.
 *
 * Only segments of files without write permission are let go: what they hold is in the file.
 * Relocated constants (RELRO) were writable once and are not such segments.
 */

#include "memory.h"

#include <link.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static int
let_go_of_object(struct dl_phdr_info *info, size_t size, void *page_size)
{
    const uintptr_t page = *(const uintptr_t *)page_size;

    (void)size;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t begin = (info->dlpi_addr + segment->p_vaddr) & ~(page - 1);
        uintptr_t end = info->dlpi_addr + segment->p_vaddr + segment->p_filesz;

        /* On the kernel's own object it fails, and need not work. */
        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_W) == 0)
            (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
    return 0;
}

void
nd_let_go_of_start(void)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    (void)dl_iterate_phdr(let_go_of_object, &page);
}
