#ifndef SERVER_MEMORY_H
#define SERVER_MEMORY_H

/*
 * Give back the memory of code and constants that only the start has needed. What is used again
 * comes back from the kernel's cache of the files, a few pages at a time. Context: any.
 */
void nd_let_go_of_start(void);

#endif
