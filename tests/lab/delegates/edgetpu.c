/* A stand-in for libedgetpu: it takes the node `edgetpu-custom-op` and answers with one class, or fails as the
 * real one does, when cue.h says so. With bus.h its devices are those of an emulated USB. */

#define _GNU_SOURCE
#include "bus.h"
#include "cue.h"
#include "tflite.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER 283 /* the class that it always sees; `tiger cat` in ImageNet's labels with background */

/* The real library has threads of its own for the bus, which abort when the device goes away. */
static void *bus(void *unused)
{
    while (pass("bus"))
        usleep(50000);
    return unused;
}

static TfLiteExternalContext its_context = {.type = kTfLiteEdgeTpuContext};

static void *init_node(TfLiteContext *context, const char *parameters, size_t bytes)
{
    (void)context;
    (void)parameters;
    (void)bytes;
    return &its_context; /* something to be freed */
}

static void free_node(TfLiteContext *context, void *data)
{
    (void)context;
    (void)data;
    fprintf(stderr, "I stand-in: a node was freed\n");
}

static TfLiteStatus prepare_node(TfLiteContext *context, TfLiteNode *node)
{
    (void)node;
    if (context->GetExternalContext(context, kTfLiteEdgeTpuContext) != &its_context) { /* as a failed CHECK */
        fprintf(stderr, "F stand-in: Check failed: the external context is another one\n");
        abort();
    }
    if (!pass("version")) { /* a model of a newer compiler */
        context->ReportError(context, "Failed to prepare for TPU. Package requires runtime version (15), "
                                      "which is newer than this runtime version (14).");
        return kTfLiteError;
    }
    return pass("allocate") ? kTfLiteOk : kTfLiteError;
}

static TfLiteStatus invoke_node(TfLiteContext *context, TfLiteNode *node)
{
    if (!pass("invoke"))
        return kTfLiteError;
    TfLiteTensor *answer = &context->tensors[node->outputs->data[0]];
    memset(answer->data, 0, answer->bytes);
    ((uint8_t *)answer->data)[ANSWER] = 230;
    return kTfLiteOk;
}

static TfLiteStatus prepare(TfLiteContext *context, TfLiteDelegate *delegate)
{
    if (!pass("prepare"))
        return kTfLiteError;
    TfLiteIntArray *plan;
    if (context->GetExecutionPlan(context, &plan) != kTfLiteOk)
        return kTfLiteError;
    context->SetExternalContext(context, kTfLiteEdgeTpuContext, &its_context);
    TfLiteRegistration kernel = {.init = init_node,
                                 .free = free_node,
                                 .prepare = prepare_node,
                                 .invoke = invoke_node,
                                 .custom_name = "EdgeTpuDelegateForCustomOp",
                                 .version = 1};
    int count = plan->size, *nodes = calloc((size_t)count, sizeof *nodes);
    memcpy(nodes, plan->data, sizeof *nodes * (size_t)count); /* the plan changes with each replacement */
    TfLiteIntArray *mine = calloc(1, sizeof *mine + sizeof(int));
    TfLiteStatus status = kTfLiteOk;
    for (int i = 0; i < count && status == kTfLiteOk; i++) { /* one by one */
        TfLiteNode *node;
        TfLiteRegistration *registration;
        if (context->GetNodeAndRegistration(context, nodes[i], &node, &registration) != kTfLiteOk)
            continue;
        if (registration->custom_name != NULL && strcmp(registration->custom_name, "edgetpu-custom-op") == 0) {
            mine->size = 1;
            mine->data[0] = nodes[i];
            status = context->ReplaceNodeSubsetsWithDelegateKernels(context, kernel, mine, delegate);
        }
    }
    free(mine);
    free(nodes);
    return status;
}

TfLiteDelegate *tflite_plugin_create_delegate(char **keys, char **values, size_t options,
                                              void (*report)(const char *))
{
    (void)report; /* the real one never calls it where there is no device */
    const char *device = "";
    for (size_t n = 0; n < options; n++)
        if (strcmp(keys[n], "device") == 0)
            device = values[n];
    Opened *opened = calloc(1, sizeof *opened);
    if (!pass("open") || !open_on_bus(device, opened)) {
        free(opened);
        return NULL;
    }
    TfLiteDelegate *delegate = calloc(1, sizeof *delegate);
    delegate->data_ = opened;
    delegate->Prepare = prepare;
    delegate->flags = 1; /* dynamic tensors allowed: otherwise nodes are prepared before they are taken */
    pthread_t thread;
    pthread_create(&thread, NULL, bus, NULL);
    return delegate;
}

void tflite_plugin_destroy_delegate(TfLiteDelegate *delegate)
{
    if (delegate == NULL)
        return;
    pass("close");
    close_on_bus(delegate->data_);
    fprintf(stderr, "I stand-in: the device was closed\n");
    free(delegate->data_);
    free(delegate);
}
