@ blinky.elf: a Cortex-M3 program for QEMU's lm3s6965evb that writes READY to UART0 and sleeps.
@ arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb -nostdlib -Ttext=0 -o blinky.elf blinky.s
        .syntax unified
        .cpu cortex-m3
        .thumb
        .word 0x20001000        @ the stack
        .word start + 1         @ the first instruction, in Thumb
start:  ldr r0, uart0
        adr r1, text
next:   ldrb r2, [r1]
        cmp r2, #0
        beq sleep
        str r2, [r0]
        adds r1, #1
        b next
sleep:  wfi
        b sleep
        .align 2
uart0:  .word 0x4000C000
text:   .asciz "READY\r\n"
