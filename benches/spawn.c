/* Times a program's start and end: spawn COUNT PROGRAM [ARGUMENTS]. Prints the median of COUNT
 * runs in nanoseconds. A program of its own so that an interpreter's weight does not count. */

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static int ascending(const void *left, const void *right)
{
    long long a = *(const long long *)left, b = *(const long long *)right;
    return (a > b) - (a < b);
}

static long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int argc, char **argv)
{
    int count = argc > 2 ? atoi(argv[1]) : 0;
    if (count < 1 || count > 100000) {
        fputs("usage: spawn COUNT PROGRAM [ARGUMENTS]\n", stderr);
        return 2;
    }
    long long *times = calloc((size_t)count, sizeof *times);
    if (times == NULL)
        return 1;
    /* What the kernel still has to take down of other runs is not measured here. */
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    for (int index = 0; index < count; index++) {
        pid_t child;
        int status;
        long long started = now();
        if (posix_spawn(&child, argv[2], NULL, NULL, argv + 2, environ) != 0
            || waitpid(child, &status, 0) != child || status != 0) {
            fprintf(stderr, "spawn: %s failed\n", argv[2]);
            return 1;
        }
        times[index] = now() - started;
    }
    qsort(times, (size_t)count, sizeof *times, ascending);
    printf("%lld\n", times[count / 2]);
    free(times);
    return 0;
}
