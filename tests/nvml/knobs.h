/* The knobs of the emulated NVML.
 *
 * All it knows is text in the folder $EMULATED_NVML, read anew at every call, so that a test changes the world by
 * writing a file. No folder: the driver is "not loaded". A missing knob has the default named here.
 *
 *   count               number of GPUs (4)
 *   gpu0/name           product name (NVIDIA Emulated A100-SXM4-40GB); keep the word "Emulated" in it
 *   gpu0/memory_mib     memory in MiB (40960)
 *   gpu0/busy           utilisation in per cent (0); memory is said to be half as busy
 *   gpu0/milliwatts     power draw (60000)
 *   gpu0/milliwatts_limit  the enforced limit (400000)
 *   gpu0/millijoules    energy since the driver was loaded (1000000)
 *   gpu0/nvlink_kib     KiB sent over all its NVLinks together (missing: it has none)
 *   gpu0/celsius        temperature (35)
 *   gpu0/ecc            uncorrected memory errors (0)
 *   gpu0/recovery       recovery action that the driver asks for (0, none)
 *   gpu0/remap_failed   1: row remapping has failed (0)
 *   gpu0/lost           "handle": it cannot even be opened; "calls": it opens, then every call fails
 *   gpu0/unsupported    words among: memory busy power energy temperature ecc processes recovery remap
 *                       attributes (of MIG devices)
 *   gpu0/processes/PID  MiB that the process holds; "?": the driver does not say
 *   gpu0/mig/N          MIG device N: "GPU-slices compute-slices MiB [profile]"; the folder's being there is MIG mode,
 *                       a profile is shown in the device's name as new drivers do
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_GPUS 16

/* A MIG device, as its knob tells it. */
typedef struct {
    unsigned slices, compute_slices;
    unsigned long long mib;
    char profile[32];
} Part;

static const char *folder(void) {
    const char *path = getenv("EMULATED_NVML");
    return path ? path : "/nonexistent";
}

/* Reads the first line of FOLDER/gpuN/key (gpu -1: FOLDER/key); returns 0 if there is none. */
static int line(int gpu, const char *key, char *text, int size) {
    char path[1024];
    if (gpu < 0)
        snprintf(path, sizeof path, "%s/%s", folder(), key);
    else
        snprintf(path, sizeof path, "%s/gpu%d/%s", folder(), gpu, key);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    int found = fgets(text, size, file) != NULL;
    fclose(file);
    if (found)
        text[strcspn(text, "\n")] = 0;
    return found;
}

static long long number(int gpu, const char *key, long long otherwise) {
    char text[64];
    return line(gpu, key, text, sizeof text) ? atoll(text) : otherwise;
}

static int is(int gpu, const char *key, const char *word) {
    char text[256];
    return line(gpu, key, text, sizeof text) && strstr(text, word) != NULL;
}

static int count(void) {
    int gpus_there = (int)number(-1, "count", 4);
    return gpus_there < MOST_GPUS ? gpus_there : MOST_GPUS;
}

static int in_mig_mode(int gpu) {
    char path[1024];
    snprintf(path, sizeof path, "%s/gpu%d/mig", folder(), gpu);
    return access(path, R_OK) == 0;
}

static int part_of(int gpu, int part, Part *found) {
    char key[32], text[128];
    snprintf(key, sizeof key, "mig/%d", part);
    *found = (Part){0};
    return line(gpu, key, text, sizeof text) &&
           sscanf(text, "%u %u %llu %31s", &found->slices, &found->compute_slices, &found->mib, found->profile) >= 3;
}
