/* Edge TPUs on an emulated USB: a tree of sysfs and device nodes, whose root stands in the file LIBRARY.bus. As the
 * real library does, it counts those without firmware first, gives them their firmware (other ids, another node), and
 * resets the device that it opens, whoever has it: the process that had it aborts. */

#ifndef EDGED_LAB_BUS_H
#define EDGED_LAB_BUS_H

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST 8

typedef struct {
    char place[PATH_MAX]; /* the folder in sysfs */
    bool ready;           /* it has its firmware */
} Stick;

typedef struct {
    char root[PATH_MAX]; /* empty: there is no emulated bus, and any device is there */
    char place[PATH_MAX];
    int descriptor;
} Opened;

static bool read_text(const char *folder, const char *name, char *text, size_t size)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    bool found = fgets(text, (int)size, file) != NULL;
    fclose(file);
    if (found)
        text[strcspn(text, "\n")] = 0;
    return found;
}

static void write_text(const char *folder, const char *name, const char *text)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (file != NULL) {
        fprintf(file, "%s\n", text);
        fclose(file);
    }
}

static int compare(const void *one, const void *other)
{
    const Stick *a = one, *b = other;
    if (a->ready != b->ready)
        return a->ready ? 1 : -1;
    return -strcmp(a->place, b->place); /* libusb adds each at the front of its list */
}

static int list(const char *root, Stick *sticks)
{
    char pattern[PATH_MAX + 64], vendor[16], product[16];
    snprintf(pattern, sizeof pattern, "%s/sys/bus/usb/devices/*", root);
    glob_t found;
    int count = 0;
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc && count < MOST; i++) {
            Stick *stick = &sticks[count];
            if (realpath(found.gl_pathv[i], stick->place) == NULL ||
                !read_text(stick->place, "idVendor", vendor, sizeof vendor) ||
                !read_text(stick->place, "idProduct", product, sizeof product))
                continue;
            stick->ready = strcmp(vendor, "18d1") == 0 && strcmp(product, "9302") == 0;
            if (stick->ready || (strcmp(vendor, "1a6e") == 0 && strcmp(product, "089a") == 0))
                count++;
        }
    globfree(&found);
    qsort(sticks, (size_t)count, sizeof *sticks, compare);
    return count;
}

static void node_of(const char *root, const char *place, char *path, size_t size)
{
    char bus[16] = "0", number[16] = "0";
    read_text(place, "busnum", bus, sizeof bus);
    read_text(place, "devnum", number, sizeof number);
    snprintf(path, size, "%s/dev/bus/usb/%03d/%03d", root, atoi(bus), atoi(number));
}

/* Gives it its firmware: it comes back with other ids and another node. */
static void load_firmware(const char *root, const char *place)
{
    char path[PATH_MAX + 64], number[16] = "0";
    node_of(root, place, path, sizeof path);
    unlink(path);
    read_text(place, "devnum", number, sizeof number);
    snprintf(number, sizeof number, "%d", atoi(number) + 20);
    write_text(place, "devnum", number);
    write_text(place, "idVendor", "18d1");
    write_text(place, "idProduct", "9302");
    node_of(root, place, path, sizeof path);
    int created = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0666);
    if (created >= 0)
        close(created);
}

/* Opens what a device string names; false: there is no such device. */
static bool open_on_bus(const char *device, Opened *opened)
{
    Dl_info here;
    char path[PATH_MAX + 64], owner[32];
    Stick sticks[MOST];
    opened->root[0] = 0;
    opened->descriptor = -1;
    if (dladdr((void *)&open_on_bus, &here) == 0)
        return true;
    snprintf(path, sizeof path, "%s.bus", here.dli_fname);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return true;
    bool found = fgets(opened->root, sizeof opened->root, file) != NULL;
    fclose(file);
    int count = found ? list(opened->root, sticks) : 0, number = 0, end = 0;
    if (strcmp(device, "usb") != 0 && (sscanf(device, "usb:%d%n", &number, &end) != 1 || device[end] != 0) &&
        (sscanf(device, ":%d%n", &number, &end) != 1 || device[end] != 0))
        return false;
    if (number >= count)
        return false;
    strcpy(opened->place, sticks[number].place);
    int pid = read_text(opened->place, "owner", owner, sizeof owner) ? atoi(owner) : 0;
    if (pid > 0 && pid != getpid() && kill(pid, 0) == 0) {
        fprintf(stderr, "I stand-in: reset under process %d: USB transfer error 5 [LIBUSB_ERROR_NOT_FOUND]\n", pid);
        kill(pid, SIGABRT);
    }
    if (!sticks[number].ready)
        load_firmware(opened->root, opened->place);
    node_of(opened->root, opened->place, path, sizeof path);
    opened->descriptor = open(path, O_RDWR | O_CLOEXEC);
    snprintf(owner, sizeof owner, "%d", getpid());
    write_text(opened->place, "owner", owner);
    return opened->descriptor >= 0;
}

static void close_on_bus(Opened *opened)
{
    char path[PATH_MAX + 64];
    if (opened->root[0] == 0)
        return;
    close(opened->descriptor);
    snprintf(path, sizeof path, "%s/owner", opened->place);
    unlink(path);
}

#endif
