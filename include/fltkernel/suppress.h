/* On Windows this names warnings of Microsoft's analysers. */
#pragma once
