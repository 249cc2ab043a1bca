/*
 * Runs a fuzz target over saved inputs: files, and all files of folders. It stands in for
 * libFuzzer's main() in ordinary builds, so that what once was found stays found.
 */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define INPUT_MAX_BYTES (16u * 1024u * 1024u)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
run_file(const char *path)
{
    FILE *f = fopen(path, "rbe");
    uint8_t *data = malloc(INPUT_MAX_BYTES);
    size_t size;

    if (f == NULL || data == NULL) {
        perror(path);
        return 1;
    }
    size = fread(data, 1, INPUT_MAX_BYTES, f);
    fclose(f);
    /* A copy of its exact size: the sanitizer sees a read beyond the end. */
    data = realloc(data, size != 0 ? size : 1);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}

static int
run_folder(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    char file[4096];
    int failed = 0;

    if (dir == NULL) {
        perror(path);
        return 1;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        failed |= run_file(file);
    }
    closedir(dir);
    return failed;
}

int
main(int argc, char **argv)
{
    int failed = argc < 2;

    for (int i = 1; i < argc; i++) {
        struct stat st;

        if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
            failed |= run_folder(argv[i]);
        else
            failed |= run_file(argv[i]);
    }
    return failed;
}
