"""What travels: frames, their chunks, the operations on them, codecs and the wire format.

Pure: nothing here knows of a broker, a clock or a thread.
"""
