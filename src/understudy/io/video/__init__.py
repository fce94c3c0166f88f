"""Video files and image sequences: streams of frames, timestamps, sound, deinterlacing, codecs."""
