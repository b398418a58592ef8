/* What every stand-in has: it does what stands in the file beside it, LIBRARY.cue, a word and a moment, such as
 * `hang invoke`. The file is read at every moment, so a test can change its mind. */

#ifndef EDGED_LAB_CUE_H
#define EDGED_LAB_CUE_H

#include <dlfcn.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Does what the cue says for this moment; false: fail. */
static bool pass(const char *moment)
{
    Dl_info here;
    char path[4096], word[32] = "", when[32] = "";
    if (dladdr((void *)&pass, &here) == 0)
        return true;
    snprintf(path, sizeof path, "%s.cue", here.dli_fname);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return true;
    int found = fscanf(file, "%31s %31s", word, when);
    fclose(file);
    if (found != 2 || strcmp(when, moment) != 0)
        return true;
    if (strcmp(word, "abort") == 0) { /* with its reason on standard error, as a failed CHECK */
        fprintf(stderr, "F stand-in: Check failed at %s\n", moment);
        abort();
    }
    if (strcmp(word, "segfault") == 0)
        raise(SIGSEGV);
    if (strcmp(word, "seize") == 0) { /* hang, and keep Python's lock */
        int (*ensure)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "PyGILState_Ensure");
        if (ensure != NULL)
            ensure();
    }
    if (strcmp(word, "slow") == 0) { /* as with firmware to load; ctypes keeps Python's lock while it opens */
        sleep(7);
        return true;
    }
    while (strcmp(word, "hang") == 0 || strcmp(word, "seize") == 0)
        pause();
    return false;
}

#endif
