/* An emulated libnvidia-ml.so.1, so that the probe can be tested through NVIDIA's true binding without any GPU.
 *
 * What it says of them stands in a folder of text, see knobs.h.
 *
 * Built with -DOLD_DRIVER it lacks functions that a driver may be too old to have: temperature's and memory's new
 * versions, the third version of the process list, the remapped rows and the field values.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "border.h"
#include "knobs.h"

#define API __attribute__((visibility("default"))) int
#define MOST_PARTS 8
#define MOST_PROCESSES 64
#define NO_INSTANCE 0xFFFFFFFFu
#define UNKNOWN_MEMORY 0xFFFFFFFFFFFFFFFFull

/* A handle: a GPU, or a MIG device on it. */
typedef struct {
    int gpu;
    int part; /* -1: the whole GPU */
} Device;

static Device gpus[MOST_GPUS], parts[MOST_GPUS][MOST_PARTS];
static pid_t opened_by; /* like the true one, it must be opened anew after a fork */
static int opened;

/* ---- what every call asks first ---- */

static int ready(void) { return opened > 0 && opened_by == getpid() ? SUCCESS : UNINITIALIZED; }

/* May this device answer about `topic` (NULL: about what every device can tell)? */
static int may_answer(const Device *device, const char *topic) {
    if (ready() != SUCCESS)
        return UNINITIALIZED;
    if (!device)
        return INVALID_ARGUMENT;
    if (is(device->gpu, "lost", "calls") || is(device->gpu, "lost", "handle"))
        return GPU_IS_LOST;
    return topic && is(device->gpu, "unsupported", topic) ? NOT_SUPPORTED : SUCCESS;
}

#define ASK(device, topic)                       \
    do {                                         \
        int answer = may_answer(device, topic);  \
        if (answer != SUCCESS)                   \
            return answer;                       \
    } while (0)

static int knob(Device *device, const char *topic, const char *key, long long otherwise, unsigned *value) {
    ASK(device, topic);
    *value = (unsigned)number(device->gpu, key, otherwise);
    return SUCCESS;
}

/* ---- opening and closing ---- */

API nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    if (access(folder(), R_OK))
        return DRIVER_NOT_LOADED;
    for (int gpu = 0; gpu < MOST_GPUS; gpu++) {
        gpus[gpu] = (Device){gpu, -1};
        for (int part = 0; part < MOST_PARTS; part++)
            parts[gpu][part] = (Device){gpu, part};
    }
    opened = opened_by == getpid() ? opened + 1 : 1;
    opened_by = getpid();
    return SUCCESS;
}

API nvmlShutdown(void) {
    if (ready() != SUCCESS)
        return UNINITIALIZED;
    opened--;
    return SUCCESS;
}

__attribute__((visibility("default"))) const char *nvmlErrorString(int code) {
    switch (code) {
    case SUCCESS: return "Success";
    case GPU_IS_LOST: return "GPU is lost";
    case NOT_SUPPORTED: return "Not Supported";
    default: return "Unknown Error";
    }
}

/* ---- finding devices ---- */

API nvmlDeviceGetCount_v2(unsigned *found) {
    if (ready() != SUCCESS)
        return UNINITIALIZED;
    *found = (unsigned)count();
    return SUCCESS;
}

API nvmlDeviceGetHandleByIndex_v2(unsigned index, Device **device) {
    if (ready() != SUCCESS)
        return UNINITIALIZED;
    if ((int)index >= count())
        return INVALID_ARGUMENT;
    if (is((int)index, "lost", "handle"))
        return GPU_IS_LOST;
    *device = &gpus[index];
    return SUCCESS;
}

static void uuid_of(const Device *device, char *text, unsigned size) {
    if (device->part < 0)
        snprintf(text, size, "GPU-e%07d-0000-4000-8000-000000000000", device->gpu);
    else
        snprintf(text, size, "MIG-e%03d%04d-0000-5000-8000-000000000000", device->gpu, device->part);
}

API nvmlDeviceGetUUID(Device *device, char *text, unsigned size) {
    ASK(device, NULL);
    if (size < 42)
        return INSUFFICIENT_SIZE;
    uuid_of(device, text, size);
    return SUCCESS;
}

API nvmlDeviceGetHandleByUUID(const char *uuid, Device **device) {
    if (ready() != SUCCESS)
        return UNINITIALIZED;
    for (int gpu = 0; gpu < count(); gpu++)
        for (int part = -1; part < MOST_PARTS; part++) {
            char text[64];
            *device = part < 0 ? &gpus[gpu] : &parts[gpu][part];
            uuid_of(*device, text, sizeof text);
            if (!strcmp(text, uuid))
                return may_answer(*device, NULL);
        }
    return NOT_FOUND;
}

API nvmlDeviceGetName(Device *device, char *text, unsigned size) {
    ASK(device, NULL);
    char name[96] = "NVIDIA Emulated A100-SXM4-40GB";
    Part part;
    line(device->gpu, "name", name, sizeof name);
    if (device->part >= 0 && part_of(device->gpu, device->part, &part) && part.profile[0])
        snprintf(text, size, "%s MIG %s", name, part.profile);
    else
        snprintf(text, size, "%s", name);
    return SUCCESS;
}

API nvmlDeviceGetPciInfo_v3(Device *device, nvmlPciInfo_t *pci) {
    ASK(device, NULL);
    *pci = (nvmlPciInfo_t){.bus = 0x10u + (unsigned)device->gpu};
    snprintf(pci->bus_id, sizeof pci->bus_id, "00000000:%02X:00.0", pci->bus);
    snprintf(pci->bus_id_legacy, sizeof pci->bus_id_legacy, "0000:%02X:00.0", pci->bus);
    return SUCCESS;
}

/* ---- processes and memory ---- */

/* Like the true one it says nothing about who is still alive: that is for the caller to find out. */
static unsigned processes_on(int gpu, c_nvmlProcessInfo_v3_t *found) {
    char path[1024], key[300], text[64];
    unsigned many = 0;
    snprintf(path, sizeof path, "%s/gpu%d/processes", folder(), gpu);
    DIR *all = opendir(path);
    if (!all)
        return 0;
    for (struct dirent *entry; (entry = readdir(all)) && many < MOST_PROCESSES;) {
        snprintf(key, sizeof key, "processes/%s", entry->d_name);
        if (entry->d_name[0] == '.' || !line(gpu, key, text, sizeof text))
            continue;
        unsigned long long memory = text[0] == '?' ? UNKNOWN_MEMORY : strtoull(text, NULL, 10) << 20;
        found[many++] = (c_nvmlProcessInfo_v3_t){(unsigned)atoi(entry->d_name), memory, NO_INSTANCE, NO_INSTANCE};
    }
    closedir(all);
    return many;
}

static int processes(Device *device, unsigned *size, c_nvmlProcessInfo_v3_t *into) {
    ASK(device, "processes");
    c_nvmlProcessInfo_v3_t found[MOST_PROCESSES];
    unsigned many = processes_on(device->gpu, found), room = *size;
    *size = many;
    if (many > room)
        return INSUFFICIENT_SIZE;
    if (into)
        memcpy(into, found, many * sizeof *found);
    return SUCCESS;
}

API nvmlDeviceGetComputeRunningProcesses_v2(Device *device, unsigned *size, c_nvmlProcessInfo_v3_t *into) {
    return processes(device, size, into);
}

#ifndef OLD_DRIVER
API nvmlDeviceGetComputeRunningProcesses_v3(Device *device, unsigned *size, c_nvmlProcessInfo_v3_t *into) {
    return processes(device, size, into);
}
#endif

API nvmlDeviceGetMemoryInfo(Device *device, c_nvmlMemory_t *memory) {
    ASK(device, "memory");
    c_nvmlProcessInfo_v3_t found[MOST_PROCESSES];
    unsigned many = processes_on(device->gpu, found);
    unsigned long long mib = (unsigned long long)number(device->gpu, "memory_mib", 40960), used = 0;
    Part part;
    for (unsigned i = 0; i < many; i++)
        used += found[i].memory == UNKNOWN_MEMORY ? 0 : found[i].memory;
    if (device->part >= 0 && part_of(device->gpu, device->part, &part))
        mib = part.mib;
    *memory = (c_nvmlMemory_t){mib << 20, (mib << 20) - used, used};
    return SUCCESS;
}

#ifndef OLD_DRIVER
API nvmlDeviceGetMemoryInfo_v2(Device *device, c_nvmlMemory_v2_t *memory) {
    c_nvmlMemory_t plain;
    if (memory->version != (sizeof *memory | 2u << 24))
        return VERSION_MISMATCH;
    int answer = nvmlDeviceGetMemoryInfo(device, &plain);
    if (answer == SUCCESS)
        *memory = (c_nvmlMemory_v2_t){memory->version, plain.total, 0, plain.free, plain.used};
    return answer;
}
#endif

/* ---- measurements ---- */

API nvmlDeviceGetUtilizationRates(Device *device, c_nvmlUtilization_t *busy) {
    ASK(device, "busy");
    if (in_mig_mode(device->gpu))
        return NOT_SUPPORTED;
    busy->gpu = (unsigned)number(device->gpu, "busy", 0);
    busy->memory = busy->gpu / 2;
    return SUCCESS;
}

API nvmlDeviceGetPowerUsage(Device *device, unsigned *milliwatts) {
    return knob(device, "power", "milliwatts", 60000, milliwatts);
}

API nvmlDeviceGetEnforcedPowerLimit(Device *device, unsigned *milliwatts) {
    return knob(device, "power", "milliwatts_limit", 400000, milliwatts);
}

API nvmlDeviceGetTotalEnergyConsumption(Device *device, unsigned long long *millijoules) {
    ASK(device, "energy");
    *millijoules = (unsigned long long)number(device->gpu, "millijoules", 1000000);
    return SUCCESS;
}

API nvmlDeviceGetTemperature(Device *device, int sensor, unsigned *celsius) {
    (void)sensor;
    return knob(device, "temperature", "celsius", 35, celsius);
}

API nvmlDeviceGetTotalEccErrors(Device *device, int type, int counter, unsigned long long *errors) {
    (void)counter;
    ASK(device, "ecc");
    *errors = type == 1 ? (unsigned long long)number(device->gpu, "ecc", 0) : 0; /* 1: uncorrected */
    return SUCCESS;
}

#ifndef OLD_DRIVER
API nvmlDeviceGetTemperatureV(Device *device, c_nvmlTemperature_v1_t *asked) {
    if (asked->version != (sizeof *asked | 1u << 24))
        return VERSION_MISMATCH;
    return nvmlDeviceGetTemperature(device, asked->sensor, (unsigned *)&asked->celsius);
}

API nvmlDeviceGetRemappedRows(Device *device, unsigned *correctable, unsigned *bad, unsigned *pending, unsigned *failed) {
    *correctable = *bad = *pending = 0;
    return knob(device, "remap", "remap_failed", 0, failed);
}

/* 230: the recovery action, an unsigned int; 138: KiB sent over NVLink, a long one, scope UINT_MAX for all links. */
static int field(Device *device, c_nvmlFieldValue_t *asked) {
    long long sent = number(device->gpu, "nvlink_kib", -1);
    if (asked->field == 230) {
        asked->type = 1;
        asked->value.ui = (unsigned)number(device->gpu, "recovery", 0);
        return may_answer(device, "recovery");
    }
    if (asked->field != 138 || asked->scope != 0xFFFFFFFFu || sent < 0)
        return NOT_SUPPORTED;
    asked->type = 3;
    asked->value.ull = (unsigned long long)sent;
    return SUCCESS;
}

API nvmlDeviceGetFieldValues(Device *device, int many, c_nvmlFieldValue_t *fields) {
    ASK(device, NULL);
    for (int i = 0; i < many; i++)
        fields[i].status = field(device, &fields[i]);
    return SUCCESS;
}
#endif

/* ---- MIG ---- */

API nvmlDeviceGetMigMode(Device *device, unsigned *now, unsigned *pending) {
    ASK(device, NULL);
    *now = *pending = (unsigned)in_mig_mode(device->gpu);
    return SUCCESS;
}

API nvmlDeviceGetMaxMigDeviceCount(Device *device, unsigned *most) {
    ASK(device, NULL);
    *most = MOST_PARTS - 1;
    return SUCCESS;
}

API nvmlDeviceGetMigDeviceHandleByIndex(Device *device, unsigned index, Device **part) {
    Part found;
    ASK(device, NULL);
    if (index >= MOST_PARTS || !part_of(device->gpu, (int)index, &found))
        return NOT_FOUND;
    *part = &parts[device->gpu][index];
    return SUCCESS;
}

API nvmlDeviceGetAttributes_v2(Device *device, c_nvmlDeviceAttributes *told) {
    Part part;
    ASK(device, "attributes");
    if (device->part < 0 || !part_of(device->gpu, device->part, &part))
        return NOT_SUPPORTED;
    *told = (c_nvmlDeviceAttributes){
        .gpu_slices = part.slices, .compute_slices = part.compute_slices, .memory_mib = part.mib};
    return SUCCESS;
}

/* ---- for the test of sizes; not part of NVML ---- */

API emulated_sizeof(const char *name) {
#define SIZE(type)              \
    if (!strcmp(name, #type))   \
        return (int)sizeof(type);
    SIZE(nvmlPciInfo_t)
    SIZE(c_nvmlMemory_t)
    SIZE(c_nvmlMemory_v2_t)
    SIZE(c_nvmlUtilization_t)
    SIZE(c_nvmlProcessInfo_v3_t)
    SIZE(c_nvmlTemperature_v1_t)
    SIZE(c_nvmlDeviceAttributes)
    SIZE(c_nvmlFieldValue_t)
    return -1;
}
