/* exits RIGHT WAITING: who exits while another thread starts the stack does not wait for it. */
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <tapstack.h>
#include <unistd.h>

static void *start(void *config) {
    tapstack_init(config);
    puts("nobody was to lend an address");
    return NULL;
}

/* Waits until somebody has the TAP, or nobody. */
static void await(int wanted) {
    struct ifreq request = {.ifr_name = "tap0"};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    do {
        usleep(10000);
        ioctl(fd, SIOCGIFFLAGS, &request);
    } while ((request.ifr_flags & IFF_RUNNING) != wanted);
    close(fd);
}

int main(int argc, char **argv) {
    if (argc != 3 || tapstack_init(argv[1]) < 0)
        return 2;
    /* From here on exit() ends a stack. */
    tapstack_fini();
    await(0);
    pthread_t thread;
    pthread_create(&thread, NULL, start, argv[2]);
    await(IFF_RUNNING);
    pid_t child = fork();
    if (child == 0)
        exit(0);
    int status = -1;
    waitpid(child, &status, 0);
    printf("the child: %d\n", status);
    tapstack_fini();
    puts("fini");
    fflush(stdout);
    exit(0);
}
